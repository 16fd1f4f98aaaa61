"""All SQL that reads a ledger, a file a subject: one function a question, which takes the ledger and returns rows.

`whole.py` puts rows together for people and programs to read. What is written goes through
`checkpoints/writes`; the tables stand in `checkpoints/schema.py`.
"""
