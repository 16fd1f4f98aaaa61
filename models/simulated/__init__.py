"""Simulated models: a small statistical world in place of a language model, labelled as such.

`chat_model` plays every role by the rules of `world`; `rules` says what a prompt's sentences change in it; `legal`,
`science` and `optimizer` hold what those domains and the optimiser's roles need.
"""
