"""Documents in, and figures and files out: what a run is fed with, and what is made of its ledger afterwards.

`documents` reads files and folders; `summary`, `signals`, `compare` and `bootstrap` count what came of them;
`exporters` and `push` give examples away. Of the package only `checkpoints` is imported, so it works on any run folder.
"""
