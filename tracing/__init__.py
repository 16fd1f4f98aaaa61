"""Traces of a run: spans from the ledger's events, and the exporters that send them where the user asked."""
