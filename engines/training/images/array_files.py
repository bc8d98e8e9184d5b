"""Arrays in files of a cache: each complete or not there at all, and one that is damaged is made anew.

Others may use the same cache at the same time.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_arrays(file: Path) -> dict[str, NDArray[Any]] | None:
    """By name; None when there is no such file, or it is damaged. It counts as used now. Raises OSError."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        os.utime(file)
    except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return found or None


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Complete or not at all. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=".entry.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)
