"""The challenge test: known master parts show, in order, that the station still finds what it must find.

`machine.py` is pure: it says when a test is due, what a part means for its step, and whether parts are taken.
`duty.py` gives it the time and puts its runs on record; the signalling thread calls it: `closed` for every part,
`attend` once a turn. What a run is stands in `station.records.challenge_runs`.

    due ─► RUNNING ─► PASSED
              ├─────► FAILED ─► reset by maintenance ─► due at once
              └─────► ABORTED, due as before
"""
