"""Refinement: which of the unlabelled training images, and which places in them, are fit to learn from.

`refine.py` is the entry point; `auto.py` is our method, `paper.py` holds those of the papers (`irp`, `osr`);
`guards.py` limits all of them. Knows detectors only as a `Judge`, and neither reads images nor writes engines.
"""
