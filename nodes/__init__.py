"""One file per role: small async functions from state to update.

`state`, `context` and `step` are what a node works with, `events` what it reports while it works, and `state_check`
refuses a state that it cannot work on. `optimizer` holds the roles of the second graph.
"""
