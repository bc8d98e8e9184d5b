"""The models, each readable next to its paper; `catalogue.py` names them.

A detector learns from images of good parts and returns an anomaly map for each image; `base.py` says what it must do.
Nothing here knows limits, verdicts or an engine on disk.
"""
