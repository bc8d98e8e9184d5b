"""The plans of an engine on disk, in the folder `plans` of its bundle.

    plans/KEY.plan       what TensorRT deserialises
    plans/KEY.json       its key, its SHA-256, and how it compared with the processor; written last
    plans/timing-*.cache what TensorRT has measured on this GPU, so that the next build is faster

KEY is the hash of the plan's key (see `plan_key`). Plans are no part of the engine: its id does not cover them, and
they are not exported. TensorRT believes a plan that it deserialises, so a plan is hashed first, and a plan of somebody
else never gets here: archives with plans are refused. Sizes are bounded, and links are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engines.bundle.files import read_bounded, sync_directory
from engines.bundle.manifest import Sha256
from engines.errors import BundleError, PlanUnusable
from engines.parity_report import ParityReport
from engines.runtimes.frame_check import FrameCheck
from engines.runtimes.tensorrt.plan_key import PlanKey

PLANS_FOLDER = "plans"
MAX_PLAN_BYTES = 2 << 30
MAX_RECORD_BYTES = 1 << 20
MAX_CACHE_BYTES = 256 << 20
MAX_RECORDS = 256
"""More than that is no folder that this software has written."""
LEFTOVER_S = 3600.0
_TEMPORARY = ".new-"


class PlanRecord(BaseModel):
    """`KEY.json`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    key: PlanKey
    plan_sha256: Sha256
    plan_bytes: Annotated[int, Field(ge=1, le=MAX_PLAN_BYTES)]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    parity: ParityReport | None
    """Of scores. None: it has not been compared with ONNX Runtime."""
    frames: FrameCheck | None = None
    """Of pixels, for a plan that prepares frames and gives no scores."""


class PlanState(str, Enum):
    """Whether there is a plan that may be used."""

    MISSING = "missing"
    FOREIGN = "foreign"
    """There are plans, but for another GPU, TensorRT, driver or graph."""
    CORRUPT = "corrupt"
    UNCHECKED = "unchecked"
    """It was never compared with the processor."""
    REFUSED = "refused"
    """It was, and computes something else; or it prepares frames, and the processor is faster."""
    READY = "ready"


@dataclass(frozen=True, slots=True)
class PlanFound:
    """What was found for a key."""

    state: PlanState
    detail: str
    """In words; for READY how it compared."""
    record: PlanRecord | None = None

    @property
    def rebuilding_helps(self) -> bool:
        """False: the same build would end the same way."""
        return self.state not in (PlanState.READY, PlanState.REFUSED)


class PlanStore:
    """The plans of one engine, in the folder of its bundle."""

    def __init__(self, engine: Path) -> None:
        self._engine = engine.resolve()
        self.path = self._engine / PLANS_FOLDER

    def find(self, key: PlanKey) -> PlanFound:
        """Whether there is a plan with this key that may be used; the plan itself is not read. Never raises."""
        try:
            names = self._names()
            if key.name not in names:
                return self._without(key, names)
            return _judge(self._record(key.name))
        except BundleError as problem:
            return PlanFound(PlanState.CORRUPT, str(problem))

    def read(self, key: PlanKey) -> tuple[bytes, PlanRecord]:
        """The plan with this key, and what is known of it, after its hash has been checked.

        Raises:
            PlanUnusable: there is no such plan that may be used; `.found` says why.
        """
        found = self.find(key)
        if found.state is not PlanState.READY or found.record is None:
            raise self.unusable(found)
        try:
            plan = read_bounded(self._engine, f"{PLANS_FOLDER}/{key.name}.plan", found.record.plan_bytes)
            sha256 = hashlib.sha256(plan).hexdigest()
            if sha256 != found.record.plan_sha256:
                wanted = found.record.plan_sha256[:12]
                raise BundleError(f"{key.name}.plan: sha256 {sha256[:12]}, its record says {wanted}")
        except BundleError as problem:
            raise self.unusable(PlanFound(PlanState.CORRUPT, str(problem))) from problem
        return plan, found.record

    def unusable(self, found: PlanFound) -> PlanUnusable:
        """The error for a plan that is not ready."""
        cure = "station engine build" if found.rebuilding_helps else 'set [engine] precision = "fp32", or teach again'
        return PlanUnusable(
            f'engine "{self._engine}": TensorRT plan {found.state.value}: {found.detail}; {cure}',
            rebuilding_helps=found.rebuilding_helps,
        )

    def write(
        self, key: PlanKey, plan: bytes, parity: ParityReport | None, frames: FrameCheck | None = None
    ) -> PlanRecord:
        """Keep a plan, whole or not at all: the record comes last and names the hash of what lies beside it.

        Raises:
            BundleError: it cannot be written, or is larger than what would be read again.
        """
        if not 1 <= len(plan) <= MAX_PLAN_BYTES:
            raise BundleError(f'plan of "{self._engine}": {len(plan)} bytes, 1 to {MAX_PLAN_BYTES} are allowed')
        record = PlanRecord(
            key=key,
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            plan_bytes=len(plan),
            created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            parity=parity,
            frames=frames,
        )
        with self._writing():
            (self.path / f"{key.name}.json").unlink(missing_ok=True)  # never a record beside the plan of another build
            self._replace(f"{key.name}.plan", plan)
            self._replace(f"{key.name}.json", record.model_dump_json(indent=2).encode() + b"\n")
        return record

    def timing_cache(self, key: PlanKey) -> bytes:
        """What was measured on this GPU by this TensorRT; empty when nothing, or when it cannot be read."""
        try:
            return read_bounded(self._engine, f"{PLANS_FOLDER}/{_cache_name(key)}", MAX_CACHE_BYTES)
        except BundleError:
            return b""

    def write_timing_cache(self, key: PlanKey, cache: bytes) -> None:
        """Keep measurements for the next build. Raises BundleError."""
        if len(cache) <= MAX_CACHE_BYTES:
            with self._writing():
                self._replace(_cache_name(key), cache)

    def _names(self) -> set[str]:
        """The plans that have a record."""
        try:
            with os.scandir(self.path) as entries:
                names = {entry.name.removesuffix(".json") for entry in entries if entry.name.endswith(".json")}
        except FileNotFoundError:
            return set()
        except OSError as problem:
            raise BundleError(f'"{self.path}" cannot be read: {problem.strerror}') from problem
        if len(names) > MAX_RECORDS:
            raise BundleError(f'"{self.path}" holds {len(names)} plans, at most {MAX_RECORDS} are read; remove some')
        return names

    def _record(self, name: str) -> PlanRecord:
        file = f"{PLANS_FOLDER}/{name}.json"
        data = read_bounded(self._engine, file, MAX_RECORD_BYTES)
        try:
            record = PlanRecord.model_validate_json(data)
        except ValidationError as problem:
            what = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in problem.errors()[:3])
            raise BundleError(f'"{self._engine}", {file}: not the record of a plan ({what})') from problem
        if record.key.name != name:
            raise BundleError(f'"{self._engine}", {file}: its key is that of {record.key.name}: exchanged or changed')
        return record

    def _without(self, key: PlanKey, names: set[str]) -> PlanFound:
        """No plan with this key: what differs from the one that is nearest to it."""
        others: list[tuple[int, str]] = []
        for name in sorted(names):
            with contextlib.suppress(BundleError):
                differences = self._record(name).key.differences(key)
                others.append((len(differences), "; ".join(differences)))
        if not others:
            return PlanFound(PlanState.MISSING, "there is no plan for this GPU yet")
        _, nearest = min(others)
        return PlanFound(PlanState.FOREIGN, f"the nearest plan is for {nearest}")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.path.mkdir(exist_ok=True)
            if self.path.is_symlink():
                raise BundleError(f'"{self.path}" is a link; an engine holds plain files only: remove it')
            self._clear()
            yield
            sync_directory(self.path)
        except OSError as problem:
            raise BundleError(
                f'"{self.path}" cannot be written: {problem.strerror or problem}; the user of the station must own it'
            ) from problem

    def _clear(self) -> None:
        """What a build that was killed has left; one that runs beside this one is younger."""
        for path in self.path.glob(f"{_TEMPORARY}*"):
            if time.time() - path.stat().st_mtime > LEFTOVER_S:
                path.unlink(missing_ok=True)

    def _replace(self, name: str, data: bytes) -> None:
        descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=self.path)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(self.path / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _judge(record: PlanRecord) -> PlanFound:
    if record.frames is not None:
        return PlanFound(PlanState.REFUSED if record.frames.refusal else PlanState.READY, str(record.frames), record)
    if record.parity is None:
        return PlanFound(PlanState.UNCHECKED, "it was never compared with ONNX Runtime", record)
    if not record.parity.passed:
        return PlanFound(PlanState.REFUSED, record.parity.refusal(), record)
    return PlanFound(PlanState.READY, record.parity.summary(), record)


def _cache_name(key: PlanKey) -> str:
    """Measurements are of one GPU and one TensorRT."""
    of = f"{key.tensorrt_version} {key.compute_capability} {key.gpu_name} {key.driver}"
    return f"timing-{hashlib.sha256(of.encode()).hexdigest()[:16]}.cache"
