"""Errors of engines.

    EngineError
    ├── BundleError        the files of an engine: missing, damaged, changed, of another format
    ├── RuntimeFailure     the runtime cannot load or run the model
    ├── StoreError         the store of engines: unknown version, damaged, busy, nothing to go back to
    ├── GoldenMismatch     the engine loads but does not give the scores it was released with
    ├── ImageError         an image this engine cannot score
    └── PartNotLocated     no part, or not exactly one, where this engine looks for it

Each message says what failed, where, the value, what is allowed and what to do next.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors of engines."""


class BundleError(EngineError):
    """The files of an engine are missing, damaged, changed or of another format."""


class RuntimeFailure(EngineError):
    """The runtime cannot load or run the model."""


class StoreError(EngineError):
    """The store of engines cannot do what was asked."""


class GoldenMismatch(EngineError):
    """The engine does not reproduce the scores of its golden images."""


class ImageError(EngineError):
    """An image, or a camera's image format, that this engine cannot score."""


class PartNotLocated(EngineError):
    """The part was not found in the image, so there is nothing to score. The station says REVIEW."""
