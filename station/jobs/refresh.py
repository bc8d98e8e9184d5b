"""The refresh: from recent parts to a candidate engine in the store, beside the active one. It activates nothing.

work/refresh/.lock          held while a refresh runs, by the training process too
work/refresh/features/      of the last refresh's images: the next one has most of them in common
work/refresh/job/           one refresh; an interrupted one is continued by the next call with the same options
    plan.json               which part is which image, and what each is for
    images/, held_out/      the images (hard links where possible: the disk budget may delete its own)
    known_good.txt, known_bad.txt, engine/, report/
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engines import said
from engines.bundle.files import DOSSIER_FOLDER, link_or_copy
from engines.bundle.known_defects import said_of
from engines.bundle.reading import read_bundle
from engines.errors import BundleError
from engines.store.store import EngineStore
from engines.store.versions import Version
from engines.teach_request import TeachRequest
from station.configuration.load import LoadedConfiguration
from station.jobs.beside.virtual_challenge import as_run, challenge_virtually
from station.jobs.candidate import changed, golden
from station.jobs.comparison import Comparison, compare, judge, markdown
from station.jobs.process import JobError, JobProgress, OnProgress, ignore_progress
from station.jobs.refresh_labels import Label, RefreshError
from station.jobs.refresh_selection import Group, PartImage, RefreshSelection
from station.jobs.teaching import teach
from station.records.engines.virtual import keep_run
from station.records.images import write_atomic
from station.records.schema import RecordingError

REPORT = "refresh"
"""Folder beside a candidate's engine: comparison.json, comparison.md, parts.json."""
PARTS_FILE = "parts.json"
CONTINUE_WITHIN_S = 24 * 3600.0
"""Longest time after which an interrupted refresh is continued; later, newer parts are worth more."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh made."""

    candidate: Version
    comparison: Comparison
    notes: tuple[str, ...]
    """What was left out, and warnings of the training."""


@dataclass(frozen=True, slots=True)
class Job:
    """The folder of one refresh."""

    folder: Path
    training: tuple[PartImage, ...]
    held_out: tuple[PartImage, ...]
    notes: tuple[str, ...]

    @property
    def engine(self) -> Path:
        return self.folder / "engine"

    @property
    def features(self) -> Path:
        return self.folder.parent / "features"


@contextlib.contextmanager
def only_refresh(work: Path) -> Iterator[int]:
    """Holds the lock of the work folder; its descriptor. Raises RefreshError when another refresh runs."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(work / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as problem:
        raise RefreshError(f'work folder "{work}" cannot be used: {problem.strerror}') from problem
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefreshError(f'another refresh runs in "{work}"; wait until it is done') from None
        yield descriptor
    finally:
        os.close(descriptor)


def open_job(work: Path, key: str, select: Callable[[], RefreshSelection]) -> Job:
    """The interrupted job of the same `key` (any text that names source and options), or a new one.

    The caller holds the lock. Raises RefreshError when images cannot be taken over.
    """
    folder, key = work / "job", hashlib.sha256(key.encode()).hexdigest()
    job = _read_job(folder, key)
    if job is not None:
        return job
    discard(work)
    selection = select()
    new = work / ".job-new"
    try:
        new.mkdir()
        for name, parts in (("images", selection.training), ("held_out", selection.held_out)):
            (new / name).mkdir()
            for part in parts:
                link_or_copy(part.image, new / name / part.name)
        _write_list(new / "known_good.txt", [part for part in selection.training if part.group is Group.GOOD])
        _write_list(new / "known_bad.txt", [part for part in selection.training if part.group is Group.DEFECTIVE])
        (new / "plan.json").write_text(json.dumps({"version": _VERSION, "key": key, **_plan(selection)}))
        new.rename(folder)
    except OSError as problem:
        raise RefreshError(f'images cannot be taken over to "{new}": {problem}') from problem
    return Job(folder, selection.training, selection.held_out, selection.notes)


def discard(work: Path) -> None:
    """Removes the job from the work folder; features stay. The caller holds the lock."""
    for folder in (work / "job", work / ".job-new"):
        shutil.rmtree(folder, ignore_errors=True)


def refresh(
    configuration: LoadedConfiguration,
    store: EngineStore,
    job: Job,
    request: TeachRequest,
    *,
    lock: int,
    shown_command: Sequence[str] = (),
    is_challenged: bool = True,
    on_progress: OnProgress = ignore_progress,
) -> Refreshed:
    """Trains, compares, and puts the candidate into the store.

    Args:
        request: how the candidate is taught; the refresh itself fills in known images and cache.
        lock: descriptor from `only_refresh`; the training process holds it as well, so that a training that outlives
            a killed refresh is not joined by a second one.
        shown_command: starts this refresh again, for the dossier.
        is_challenged: synthetic defects in pictures of this station's parts are shown to the candidate.

    Raises:
        JobError, RefreshError: training or comparison failed; nothing was added.
        EngineError: the store cannot be used; the same call goes on from here.
    """
    if not job.engine.exists():  # it appears whole or not at all
        _train(job, request, lock, shown_command, on_progress)
    active = store.active()
    earlier = golden.of_earlier(store.versions(), REPORT, job.held_out)
    comparison = _compare(configuration, job, None if active is None else active.path, earlier, on_progress)
    report = job.folder / "report"
    report.mkdir(exist_ok=True)
    write_atomic(report / "comparison.json", comparison.as_json().encode())
    write_atomic(report / "comparison.md", markdown(comparison).encode())
    write_atomic(report / PARTS_FILE, json.dumps(_keys(job)).encode())
    golden.keep(report, job.held_out, job.folder / "held_out")
    pictures = {(part.key, part.camera): part.image for part in earlier}
    pictures |= {(part.key, part.camera): job.folder / "held_out" / part.name for part in job.held_out}
    changed.keep(report, comparison.changed, pictures)
    candidate = store.add(job.engine, why=f"refresh from {len(job.training)} recent parts", extras={REPORT: report})
    challenged = _challenged(configuration, candidate, on_progress) if is_challenged else ()
    notes = (*job.notes, *_dossier(job.engine).get("warnings", ()), *challenged)
    done = Refreshed(candidate, comparison, notes)
    with contextlib.suppress(OSError):  # what cannot be tidied up does not undo the candidate
        _forget_unused(job)
    shutil.rmtree(job.folder, ignore_errors=True)
    return done


def _challenged(configuration: LoadedConfiguration, candidate: Version, on_progress: OnProgress) -> Sequence[str]:
    """Shows synthetic defects to the candidate, for the gate; why not, where that does not work out."""
    try:
        result = challenge_virtually(
            configuration, engine=candidate.path, seed=int(time.time()), on_progress=on_progress
        )
        if result.defects:
            keep_run(configuration.work_dir, as_run(result, "refresh", of_candidate=True))
    except (JobError, RecordingError, OSError) as problem:
        return (f"no virtual challenge of the candidate: {problem}",)
    return ()


def _keys(job: Job) -> dict[str, list[str]]:
    """The parts of a job, for whoever wants to teach from the same ones again."""
    return {
        "training": list(dict.fromkeys(part.key for part in job.training)),
        "held_out": list(dict.fromkeys(part.key for part in job.held_out)),
    }


def _train(job: Job, request: TeachRequest, lock: int, shown_command: Sequence[str], on_progress: OnProgress) -> None:
    good, bad = (job.folder / f"known_{kind}.txt" for kind in ("good", "bad"))
    teach(
        job.folder / "images",
        job.engine,
        replace(
            request,
            known_good=good if good.stat().st_size else None,
            known_bad=bad if bad.stat().st_size else None,
            cache=job.features,
        ),
        shown_command=shown_command,
        keep_open=(lock,),
        on_progress=on_progress,
    )


def _forget_unused(job: Job) -> None:
    """Features that this job did not touch are of parts that the next one will hardly want either."""
    started_s = (job.folder / "plan.json").stat().st_mtime
    for file in job.features.glob("*"):
        if file.stat().st_mtime < started_s:
            file.unlink(missing_ok=True)


def _compare(
    configuration: LoadedConfiguration,
    job: Job,
    active: Path | None,
    earlier: Sequence[PartImage],
    on_progress: OnProgress,
) -> Comparison:
    """`earlier`: good parts of earlier refreshes, which count here, too."""
    images = [(part.camera, job.folder / "held_out" / part.name) for part in job.held_out]
    images += [(part.camera, part.image) for part in earlier]
    started = time.monotonic()
    engines = [job.engine] if active is None else [job.engine, active]
    total = len(images) * len(engines)

    def report(before: int) -> Callable[[int, int], None]:
        def on_step(done: int, _: int) -> None:
            spent = time.monotonic() - started
            left_s = spent / (before + done) * (total - before - done)
            on_progress(JobProgress("compare", before + done, total, left_s))

        return on_step

    judged = [
        judge(configuration, engine, images, report(number * len(images))) for number, engine in enumerate(engines)
    ]
    seen = None
    if active is not None:
        learned = learned_from(active)
        seen = None if learned is None else sum(sha256_of(image) in learned for _, image in images)
    known = read_bundle(job.engine).manifest.known_defects
    return compare(
        [*job.held_out, *earlier],
        judged[0],
        judged[1] if active is not None else None,
        seen_by_active=seen,
        known_defects="" if known is None else said_of(known),
    )


def learned_from(engine: Path) -> frozenset[str] | None:
    """Hashes of the images that an engine learned from; None when nobody wrote them down."""
    try:
        return frozenset(image["sha256"] for image in _dossier(engine)["images"] if image["fate"] == "kept")
    except (KeyError, TypeError):
        return None


def _dossier(engine: Path) -> dict[str, Any]:
    """What its training wrote about an engine; empty when there is nothing that can be read."""
    try:
        found = json.loads((engine / DOSSIER_FOLDER / "dossier.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_job(folder: Path, key: str) -> Job | None:
    """The job in `folder`; None when there is none to continue."""
    try:
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if plan.get("version") != _VERSION or plan.get("key") != key or time.time() - plan["time"] > CONTINUE_WITHIN_S:
        return None
    if (folder / "engine").exists():
        try:
            read_bundle(folder / "engine")
        except BundleError:
            return None

    def read(name: str) -> tuple[PartImage, ...]:
        return tuple(
            PartImage(**{**item, "image": Path(item["image"]), "label": _label(item["label"])}) for item in plan[name]
        )

    return Job(folder, read("training"), read("held_out"), (*plan["notes"], said.CONTINUED()))


def _plan(selection: RefreshSelection) -> dict[str, object]:
    def rows(parts: Sequence[PartImage]) -> list[dict[str, object]]:
        return [{**asdict(part), "image": str(part.image)} for part in parts]

    return {
        "time": time.time(),
        "training": rows(selection.training),
        "held_out": rows(selection.held_out),
        "notes": selection.notes,
    }


def _label(value: str | None) -> Label | None:
    return None if value is None else Label(value)


def _write_list(file: Path, parts: Sequence[PartImage]) -> None:
    """One name a line; behind a tab the class of the defect."""
    lines = (f"{part.name}\t{part.defect_class}".rstrip("\t") for part in parts)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def sha256_of(file: Path) -> str:
    """As the dossier of an engine names an image that it learned from."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
