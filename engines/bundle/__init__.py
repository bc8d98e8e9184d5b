"""An engine on disk: one folder of manifest, graphs, calibration and golden images.

`manifest.py` and `location_spec.py` say what may stand in it, `reading.py` and `writing.py` check every byte on the
way in and out, `files.py` knows names and durable writes, `archive.py` carries an engine as one file. Runs nothing:
what comes from here is untrusted until it is checked, and what is checked is read once.
"""
