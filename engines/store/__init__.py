"""All versions of an engine that a product ever had, which one is active, and the history of both.

`versions.py` finds (light: no numpy), `store.py` changes and verifies, `history.py` records. A version never changes;
the active one changes in one step.
"""
