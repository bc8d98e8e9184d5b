"""Finished rounds of refinement on disk, so that a training that was killed goes on where it was.

One small text file: the SHA-256 of the rest, then JSON. It is replaced by renaming, so after a kill there is the old
file or the new one. What does not match is not used: nothing depends on a checkpoint but time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from engines import said
from engines.training.as_json import plain
from engines.training.refinement.records import Round

MAX_BYTES = 256 << 20


def checkpoint_key(**parts: Any) -> str:
    """What a checkpoint belongs to: a hash over everything that shapes the rounds (data, options, seed, software)."""
    return hashlib.sha256(json.dumps(plain(parts), sort_keys=True).encode()).hexdigest()


class FileCheckpoint:
    """The `Checkpoint` of refinement in one file of `folder`.

    Args:
        folder: is made when it is missing; may be shared by trainings, each has its own key.
        key: see `checkpoint_key`.
        on_message: called with a text when a file cannot be used or written; the training continues without it.
    """

    def __init__(self, folder: Path, key: str, on_message: Callable[[str], None]) -> None:
        self._file = folder / f"refinement-{key[:32]}.checkpoint"
        self._key = key
        self._on_message = on_message

    def load(self) -> list[Round]:
        """Rounds of an earlier run with the same key; empty when there is none that can be used."""
        try:
            data = self._file.read_bytes() if self._file.stat().st_size <= MAX_BYTES else b""
        except FileNotFoundError:
            return []
        except OSError as error:
            self._refuse(error.strerror or str(error))
            return []
        checksum, _, content = data.partition(b"\n")
        if hashlib.sha256(content).hexdigest().encode() != checksum:
            self._refuse("damaged")
            return []
        try:
            stored = _Stored.model_validate_json(content)
        except ValidationError as error:
            self._refuse(f"of another version ({error.error_count()} differences)")
            return []
        if stored.key != self._key:
            self._refuse("of other data, options or software")
            return []
        return [entry.round() for entry in stored.rounds]

    def save(self, rounds: list[Round]) -> None:
        """Replace what is kept by these rounds."""
        stored = _Stored(key=self._key, rounds=[_StoredRound.of(entry) for entry in rounds])
        content = stored.model_dump_json().encode()
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                stream.write(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._file)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            self._on_message(said.CHECKPOINT_NOT_WRITTEN(file=f'"{self._file}"', why=error.strerror or error))

    def remove(self) -> None:
        """The training is finished."""
        self._file.unlink(missing_ok=True)

    def _refuse(self, why: str) -> None:
        self._on_message(said.CHECKPOINT_NOT_USED(file=f'"{self._file}"', why=why))


class _StoredRound(BaseModel):
    # A limit may be infinite.
    model_config = ConfigDict(strict=True, extra="forbid", ser_json_inf_nan="constants")

    indices: list[int]
    scores: list[float]
    limit: float
    removed: list[int]
    returned: list[int]
    masked_share: float

    @classmethod
    def of(cls, entry: Round) -> _StoredRound:
        return cls(
            indices=entry.indices.tolist(),
            scores=entry.scores.tolist(),
            limit=float(entry.limit),
            removed=entry.removed.tolist(),
            returned=entry.returned.tolist(),
            masked_share=float(entry.masked_share),
        )

    def round(self) -> Round:
        return Round(
            indices=np.asarray(self.indices, np.intp),
            scores=np.asarray(self.scores, np.float64),
            limit=self.limit,
            removed=np.asarray(self.removed, np.intp),
            returned=np.asarray(self.returned, np.intp),
            masked_share=self.masked_share,
        )


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", ser_json_inf_nan="constants")

    version: Literal[1] = 1
    key: str
    rounds: list[_StoredRound]
