"""Rows to PostgreSQL: what every station of a plant sends to one database.

    records.db ──cursor──► rows, sums of minutes (`rows.py`, `sums.py`) ──one transaction──► `database.py`
    labels.db, events ──place kept by the server (`others.py`)─────────────┘

The only room that knows psycopg. The schema of the other side is `schema.sql`; a person installs it.
"""
