"""The optimiser's runs: the session of a search, its archive of packs, its evaluator, the failures it reads.

`session` is what commands and servers open. The others implement the Protocols of `nodes.optimizer` on a run folder;
`langsmith_failures`, which few need, reads failures from a traced project.
"""
