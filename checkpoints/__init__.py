"""What lasts: the ledger of a run folder and LangGraph's checkpoints, with the values, ids and errors that all share.

`records`, `ids`, `errors` and `usage` say what a run is made of; `schema` and `ledger` keep it, in `run.db` or at a
server (`places`, `engine`); `writes` and `document_queue` write there, and `queries` holds all SQL that reads. `saver`
and `postgres` keep the state of graphs. Nothing is imported here: a command that only looks at a folder starts
without LangGraph.
"""
