"""How many parts there were of each kind in each quarter of an hour, kept beside the records by whoever counts often.

records.db ──► taking_in: what is new since the last time, in short steps ──► rollups.db ──► counting

A file of rollups belongs to the process that writes it; it holds nothing that the records do not say, and may be
deleted: it is made anew. What retention takes from the records stays in it.
"""
