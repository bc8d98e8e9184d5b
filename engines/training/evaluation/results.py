"""What a run is called and what came out of it: one file per run, safe against kills and against other processes."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import TrainingError

STANDARD, RANDOM, BY_PART, CONTAMINATED = "standard", "random", "by part", "contaminated"


@dataclass(frozen=True)
class Run:
    """One training and its test."""

    dataset: str
    detector: str
    refine: str
    """A method of refinement, or "oracle": none, but only the good images of the same training set are learned."""
    noise: int
    """Share of defective images in the training set, in percent."""
    seed: int
    protocol: str = CONTAMINATED
    """"contaminated", or without noise: "standard", the split of the data set itself; "random", its good images mixed
    and divided anew; "by part", likewise, with all images of one part on one side."""

    @property
    def name(self) -> str:
        """For files."""
        noise = f"noise{self.noise:02}" if self.protocol == CONTAMINATED else self.protocol.replace(" ", "-")
        return f"{self.dataset}-{self.detector}-{self.refine}-{noise}-seed{self.seed}"


@dataclass(frozen=True)
class Escapes:
    """What becomes of the defective test images, all of them or those of a kind. Shares of `count`."""

    count: int
    passed: float
    """At or below the calibrated review limit: nobody looks at them."""
    not_rejected: float
    """At or below the calibrated reject limit: these pass where nobody has time for reviews."""
    ranked_1: float
    """Below the limit that rejects 1 % of the good test images: what ranking alone allows."""
    ranked_5: float


@dataclass(frozen=True)
class Result:
    """The figures of a run; those that could not be had are None."""

    dataset: str
    detector: str
    backbone: str
    refine: str
    noise: int
    seed: int
    protocol: str
    fingerprint: str
    """Hash over data, options, packages and source."""
    finished: str
    """UTC."""
    error: str | None = None
    """Why there is no result."""
    image_auroc: float | None = None
    f1_max: float | None = None
    pixel_auroc: float | None = None
    aupro: float | None = None
    auroc_by_defect: Mapping[str, float] = field(default_factory=dict)
    false_reject_budget: float | None = None
    """Share of good parts that may be rejected, as promised by the calibration."""
    review_budget: float | None = None
    """Share that may be rejected or in review."""
    false_reject: float | None = None
    """Share of good test images above the reject limit."""
    promise_refuted: bool | None = None
    """Whether the false rejects are more than chance explains, at the confidence of the promise."""
    independent_good: int | None = None
    """Good test images, copies of one part counted once: what that is judged by."""
    good_review: float | None = None
    escape: float | None = None
    """Share of defective test images that pass."""
    escapes: Escapes | None = None
    """Of all defective test images."""
    escapes_by_defect: Mapping[str, Escapes] = field(default_factory=dict)
    """Of each kind."""
    causes: Mapping[str, float] = field(default_factory=dict)
    """Cause -> share of the defective test images that pass for it, see `pass_causes`."""
    trade_off: Mapping[str, float] = field(default_factory=dict)
    """Good test images above a limit, in percent -> share of the defective ones that pass there."""
    at_review_budget: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Review budget, in percent -> `passed` and `good_above` at the limit that the same calibration gives it: shares of
    the defective and of the good test images; a part that was not found is above."""
    defective_review: float | None = None
    reject_score: float | None = None
    review_score: float | None = None
    train_good: int = 0
    """Images in the training set before refinement."""
    train_bad: int = 0
    removed_good: int | None = None
    removed_bad: int | None = None
    dirt_share: float | None = None
    """Share of contaminated images as the refinement estimates it, where it does."""
    test_good: int = 0
    test_defective: int = 0
    test_not_located: int = 0
    """Test images in which no part was found: cases for review, ranked above all scores."""
    training_s: float | None = None
    """Refinement, training and calibration, from cached features."""
    features_s: float | None = None
    """Features of all images, computed or found in the cache: once per process, data set and detector."""
    inference_ms: float | None = None
    """One image in ONNX Runtime, the fastest of several."""

    @property
    def run(self) -> Run:
        """Whose result this is."""
        return Run(self.dataset, self.detector, self.refine, self.noise, self.seed, self.protocol)


class ResultFolder:
    """`runs/<run>-<fingerprint>.json` and `.npz` (scores and some maps), `sets/`, and `results.json` made from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self.sets = folder / "sets"
        self._locks = folder / "locks"

    def create(self) -> None:
        """Raises TrainingError when it cannot be written."""
        try:
            for path in (self.runs, self.sets, self._locks):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f'output "{self.folder}": {error.strerror}; choose a folder that can be written'
            ) from error

    def find(self, run: Run, fingerprint: str | None) -> Result | None:
        """The result of this run; with fingerprint None of whatever data, options and source."""
        if fingerprint is not None:
            path = self.runs / f"{run.name}-{fingerprint[:12]}.json"
            return _read(path) if path.is_file() else None
        found = [_read(path) for path in self.runs.glob(f"{glob.escape(run.name)}-*.json")]
        return max(found, key=lambda result: result.finished, default=None)

    def write(self, result: Result, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a result. The file of figures comes last and appears whole: the files it names are there."""
        stem = self.runs / f"{result.run.name}-{result.fingerprint[:12]}"
        if arrays:
            with atomic_file(stem.with_name(f"{stem.name}.npz")) as temporary, temporary.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **arrays)
        write_json(stem.with_name(f"{stem.name}.json"), asdict(result))

    def arrays(self, result: Result) -> dict[str, NDArray[Any]]:
        """What was kept beside a result; empty when there is nothing."""
        path = self.runs / f"{result.run.name}-{result.fingerprint[:12]}.npz"
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as content:
            return dict(content)

    def all(self) -> list[Result]:
        """The newest result of every run, ordered."""
        newest: dict[Run, Result] = {}
        for path in sorted(self.runs.glob("*.json")):
            result = _read(path)
            if result.run not in newest or newest[result.run].finished < result.finished:
                newest[result.run] = result
        return sorted(newest.values(), key=lambda r: (r.dataset, r.detector, r.protocol, r.refine, r.noise, r.seed))

    def write_all(self) -> Path:
        """Write `results.json`: a list of all results."""
        path = self.folder / "results.json"
        write_json(path, [asdict(result) for result in self.all()])
        return path

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool) -> Iterator[bool]:
        """Hold the right to work on something; False when another process has it. Ends with the process."""
        with (self._locks / name).open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary file that becomes `path` when all went well."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix + ".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write a JSON file in one piece."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _read(path: Path) -> Result:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        by_defect = {kind: Escapes(**found) for kind, found in content.get("escapes_by_defect", {}).items()}
        escapes = content.get("escapes")
        read = {"escapes": None if escapes is None else Escapes(**escapes), "escapes_by_defect": by_defect}
        return Result(**{**content, **read})
    except (ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f'result "{path}" cannot be read ({error}): remove it, the run is done again') from error
