"""Tracks a part to its ejector and pushes it there: only for `[reject] by = "station"`.

`tracker` and `belt` are pure, `stage` is their thread. A part that is not PASS is pushed or the line stops.
"""
