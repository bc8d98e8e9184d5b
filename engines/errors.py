"""Errors of engines.

    EngineError
    ├── BundleError        the files of an engine: missing, damaged, changed, of another format
    ├── RuntimeFailure     the runtime cannot load or run the model
    ├── StoreError         the store of engines: unknown version, damaged, busy, nothing to go back to
    ├── GoldenMismatch     the engine loads but does not give the scores it was released with
    ├── ParityRefused      a runtime or a graph computes something else than the reference
    ├── ImageError         an image this engine cannot score
    └── PartNotLocated     no part, or not exactly one, where this engine looks for it

Each message says what failed, where, the value, what is allowed and what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.parity_report import ParityReport


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


class ParityRefused(EngineError):
    """A runtime or a graph differs from the reference by more than its tolerance."""

    def __init__(self, message: str, report: ParityReport) -> None:
        super().__init__(message)
        self.report = report


class ImageError(EngineError):
    """An image, or a camera's image format, that this engine cannot score."""


class PartNotLocated(EngineError):
    """The part was not found in the image, so there is nothing to score. The station says REVIEW."""
