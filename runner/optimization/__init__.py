"""The optimiser's runs: the session of a search, its archive of packs, its evaluator, the failures it reads."""
