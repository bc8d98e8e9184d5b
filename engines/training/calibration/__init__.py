"""Turns scores of good images into the limits of an engine, with the promise they hold.

Pure numbers: knows neither images nor detectors. `calibrate.py` makes limits and promise, `tail.py` the bounds under
them.
"""
