"""Refresh of many stations in one place: a table of jobs in PostgreSQL, workers that take them, engines as results.

    station fleet refresh ──► refresh_jobs ──take, lease──► worker: images, teaching, comparison ──► folder of results
                              waiting ─► running ─► done | failed                                         │
                                 ▲          │                          station fleet release ──► channel ─► station
                                 └──────────┘ the lease is over: again, at most [fleet] tries

A job is what `station refresh` does, for one station and one recipe, with what that station has sent. Nothing here
activates an engine: what comes out is signed by a person's key, pulled by its station, and goes through its gate.
Workers run on computers that are no station.
"""
