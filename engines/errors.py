"""Errors of engines and of teaching.

    EngineError
    ├── BundleError        the files of an engine: missing, damaged, changed, of another format
    ├── RuntimeFailure     the runtime cannot load or run the model
    │   ├── GpuUnusable    there is no GPU that can be used, or what drives it is not installed
    │   ├── PlanUnusable   there is no TensorRT plan for this GPU that may be used
    │   └── DeviceFault    the GPU failed while it was used
    ├── SignatureError     a signature or a key: missing, wrong, cut off, not trusted
    ├── StoreError         the store of engines: unknown version, damaged, busy, nothing to go back to
    ├── GoldenMismatch     the engine loads but does not give the scores it was released with
    ├── ParityRefused      a runtime or a graph computes something else than the reference
    ├── ImageError         an image this engine cannot score
    └── PartNotLocated     no part, or not exactly one, where this engine looks for it

    TrainingError
    ├── DatasetError       the images: missing, unreadable, too few, not supported
    └── ExportError        the exported graph does not compute what was trained

Each message says what failed, where, the value, what is allowed and what to do next.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.parity_report import ParityReport


class EngineError(Exception):
    """Base of all errors of engines."""


class BundleError(EngineError):
    """The files of an engine are missing, damaged, changed or of another format."""


class RuntimeFailure(EngineError):
    """The runtime cannot load or run the model."""


class GpuUnusable(RuntimeFailure):
    """There is no GPU that can be used, or what drives it is not installed."""


class PlanUnusable(RuntimeFailure):
    """There is no TensorRT plan of this engine for this GPU that may be used."""

    def __init__(self, message: str, *, rebuilding_helps: bool) -> None:
        super().__init__(message)
        self.rebuilding_helps = rebuilding_helps
        """False: a plan is there, and it computes something else than the reference."""


class FaultKind(str, Enum):
    """How a GPU failed."""

    OUT_OF_MEMORY = "out of memory"
    ILLEGAL_ACCESS = "illegal access"
    DEVICE_LOST = "device lost"
    OTHER = "other"


class DeviceFault(RuntimeFailure):
    """The GPU failed while it was used."""

    def __init__(self, message: str, kind: FaultKind) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def needs_restart(self) -> bool:
        """Every further call of this process fails as well."""
        return self.kind in (FaultKind.ILLEGAL_ACCESS, FaultKind.DEVICE_LOST)


class SignatureError(EngineError):
    """A signature or a key is missing, wrong, cut off or not trusted."""


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


class TrainingError(Exception):
    """Base of everything that ends a training."""


class DatasetError(TrainingError):
    """The images cannot be used."""


class ExportError(TrainingError):
    """The exported graph does not compute what was trained."""
