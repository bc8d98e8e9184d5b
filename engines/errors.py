"""Errors of engines.

    EngineError
    ├── BundleError        the files of an engine: missing, damaged, changed, of another format
    ├── RuntimeFailure     the runtime cannot load or run the model
    ├── GoldenMismatch     the engine loads but does not give the scores it was released with
    └── ImageError         an image this engine cannot score

Each message says what failed, where, the value, what is allowed and what to do next.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors of engines."""


class BundleError(EngineError):
    """The files of an engine are missing, damaged, changed or of another format."""


class RuntimeFailure(EngineError):
    """The runtime cannot load or run the model."""


class GoldenMismatch(EngineError):
    """The engine does not reproduce the scores of its golden images."""


class ImageError(EngineError):
    """An image, or a camera's image format, that this engine cannot score."""
