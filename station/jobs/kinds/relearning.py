"""From labels on record to a candidate whose kinds are learned anew: starts `python -m engines.training.kinds`.

That process reads and writes graphs with the package `onnx`, which the station's own processes never import. It takes
seconds, and next to nothing of what a training needs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from engines.store.store import EngineStore, manifest_of
from engines.store.versions import Version
from station.configuration.load import LoadedConfiguration
from station.jobs.kinds.labelled import Named
from station.jobs.process import JobError, OnProgress, ignore_progress, run_job
from station.jobs.refresh_labels import RefreshError
from station.python_command import python_command

REPORT = "kinds"
"""Folder beside a candidate's engine."""
REPORT_FILE = "relearned.json"
THREADS = 2


@dataclass(frozen=True, slots=True)
class Relearned:
    """What was made."""

    candidate: Version
    before: Version
    """The engine that it follows from."""
    summary: dict[str, Any]
    """See `engines.training.kinds.relearn.Relearned`."""
    notes: tuple[str, ...]


def relearn_kinds(
    configuration: LoadedConfiguration,
    store: EngineStore,
    named: Named,
    *,
    labels_only: bool = False,
    threads: int = THREADS,
    on_progress: OnProgress = ignore_progress,
) -> Relearned:
    """Puts a candidate into the store: the active engine with the kinds of these labels. One at a time.

    Raises:
        RefreshError: there is no engine to learn for.
        JobError: nothing is new, too few kinds, or the process failed; nothing was added.
        EngineError: the store cannot be used, or the candidate does not score as it should.
    """
    before = store.active()
    if before is None:
        raise RefreshError("no engine is active: teach one first (station teach), then name the kinds of its rejects")
    if importlib.util.find_spec("onnx") is None:
        raise JobError(
            "learning kinds needs the package onnx, which is not installed here: run the installer again with --teach, "
            "or pip install onnx"
        )
    work = configuration.work_dir / "kinds"
    try:
        work.mkdir(parents=True, exist_ok=True)
        for left in work.glob("job-*"):  # by one that was killed; the caller holds the lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="job-", dir=work) as temporary:
            folder = Path(temporary)
            (folder / "labels.json").write_text(json.dumps(_as_json(named)), encoding="utf-8")
            summary = _run(before.path, folder, work / "looks", labels_only, threads, on_progress)
            report = folder / "report"
            report.mkdir()
            about = {"from_version": before.name, "from_engine_id": manifest_of(before).engine_id, **summary}
            (report / REPORT_FILE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            why = f"kinds of {summary['labelled']} labels, scores as {before.name}"
            candidate = _same(store, folder / "engine") or store.add(
                folder / "engine", why=why, extras={REPORT: report}
            )
    except OSError as problem:
        raise JobError(f'work folder "{work}" cannot be used: {problem.strerror or problem}; make room') from problem
    return Relearned(candidate, before, summary, _notes(named, summary))


def _same(store: EngineStore, engine: Path) -> Version | None:
    """A version with the same graph: the same labels were learned before, and nobody has activated it yet."""
    made = read_manifest(engine)
    for version in store.versions():
        with contextlib.suppress(EngineError):
            known = manifest_of(version)
            if (known.model, known.kinds, known.calibration) == (made.model, made.kinds, made.calibration):
                return version
    return None


def _run(  # noqa: PLR0917
    engine: Path, folder: Path, cache: Path, labels_only: bool, threads: int, on_progress: OnProgress
) -> dict[str, Any]:
    command = python_command(
        "engines.training.kinds",
        f"--engine={engine}",
        f"--labels={folder / 'labels.json'}",
        f"--output={folder / 'engine'}",
        f"--cache={cache}",
        f"--threads={threads}",
        *(["--labels-only"] if labels_only else []),
    )
    last = run_job(command, what="learning kinds", threads=threads, on_progress=on_progress)
    if last.get("event") != "done":
        raise JobError("the process that learns kinds ended without a result")
    return dict(last["summary"])


def _as_json(named: Named) -> dict[str, Any]:
    images = [
        {"path": str(one.image), "kind": one.defect_class, "part": f"{one.key}/{one.camera}"} for one in named.images
    ]
    return {"images": images, "on_record": dict(named.classes)}


def _notes(named: Named, summary: dict[str, Any]) -> tuple[str, ...]:
    """What did not count, for people."""
    notes = [f"{count} images left out: {why}" for why, count in summary["left_out"].items()]
    if named.without_image:
        notes.append(f"{named.without_image} named parts have no image any more")
    if named.of_others:
        notes.append(f"{named.of_others} named parts are of another recipe, master parts, or gone from the records")
    if summary["from_teaching"]:
        notes.append(f"{summary['from_teaching']} images beside the labels were named when the engine was taught")
    if summary["dropped"]:
        notes.append(f"not known any more: {', '.join(summary['dropped'])}")
    return tuple(notes)
