"""Traces of a run: spans from the ledger's events, and the exporters that send them where the user asked.

`tracer` writes spans beside the ledger's rows; `export_queue` batches them in a thread of its own; `langsmith` and
`otel` send them, cleaned by `redact`; `registry` lists the exporters and `setup` opens those that are asked for.
"""
