"""All SQL that reads a ledger, a file a subject: one function a question, which takes the ledger and returns rows.

What is written goes through `Ledger.save`; the tables stand in `checkpoints/schema.py`.
"""
