"""Engines on record: what one in the shadow of the active one has said of the same parts."""
