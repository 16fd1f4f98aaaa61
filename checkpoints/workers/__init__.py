"""What the workers of a run share in Postgres besides its ledger (extra `workers`).

One job of `procrastinate` is one document (`jobs.py`). Around it stand whether a run goes on and what bounds it
(`runs.py`), who works on it and under which lease (`leases.py`), what its budget has left (`budget.py`) and how many
requests an endpoint may still be sent (`slots.py`). `database.py` opens the connection and makes the tables. All times
are the database's, so that machines whose clocks differ agree.
"""
