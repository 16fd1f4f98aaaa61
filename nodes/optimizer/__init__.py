"""The roles of the meta-optimiser (paper, section 6): what reads failures, edits prompts, checks and decides.

Nodes are in `select`, `propose` and `validate`. They reach a search through `state`, whose parts are Protocols:
`population`, `evaluator`, `trajectories`. `directive_check`, `edit_sandbox` and `checks` keep edits within bounds.
"""
