"""One file of plain arrays with a header that says what they are: blocks, sums, shares of sums.

Such a file comes from elsewhere and is read as untrusted: nothing is unpickled, and sizes are bounded before anything
is unpacked. What the arrays have to be, and whether their hashes agree, is the business of whoever reads them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from engines.bundle.files import write_synced

_NAME = "header"


class Header(BaseModel):
    """What every header has."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int


H = TypeVar("H", bound=Header)


def write_headed(file: Path, header: Header, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a file that survives a power cut. Raises OSError."""
    stream = io.BytesIO()
    text = np.frombuffer(header.model_dump_json().encode(), np.uint8)
    np.savez(stream, **{_NAME: text}, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options
    write_synced(file, stream.getvalue())


def read_headed(
    file: Path,
    kind: type[H],
    version: int,
    most_bytes: int,
    *,
    names: tuple[str, ...] | None = None,
    with_arrays: bool = True,
) -> tuple[H, dict[str, NDArray[Any]]]:
    """The header, and the arrays. `names`: what it has to hold beside the header; None: whatever there is.

    Raises OSError, ValueError, KeyError, BadZipFile, EOFError: it is no such file of this version.
    """
    if file.is_symlink() or file.stat().st_size > most_bytes:
        raise ValueError(f"a link, or larger than {most_bytes} bytes")
    with zipfile.ZipFile(file) as packed:
        if sum(member.file_size for member in packed.infolist()) > most_bytes:
            raise ValueError(f"it would unpack to more than {most_bytes} bytes")
    with np.load(file, allow_pickle=False) as found:
        if names is not None and set(found.files) != {_NAME, *names}:
            raise ValueError(f"it holds {', '.join(sorted(found.files))}; expected {_NAME}, {', '.join(names)}")
        header = kind.model_validate_json(found[_NAME].tobytes())
        if header.format != version:
            raise ValueError(f"format {header.format}, this software reads {version}")
        return header, {name: found[name] for name in found.files if with_arrays and name != _NAME}
