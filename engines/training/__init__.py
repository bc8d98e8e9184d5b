"""Teaching engines: the only code, with the detectors, that reaches PyTorch. Runs in its own process.

`teach.py` is the whole way from a folder of images to an engine, `learn.py` what makes a detector of one set of
images, also for the evaluation. The station starts `python -m engines.training` and never imports it.
"""
