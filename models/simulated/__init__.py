"""Simulated models: a small statistical world in place of a language model, labelled as such."""
