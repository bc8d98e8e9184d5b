"""The gate before an activation: what is known of a candidate beside the active engine, as one list.

Each line is green, red, or not known and then says what makes it known. Red does not forbid: a person who activates all
the same says why, and that reason stands in the history and in the audit log as an override. What is not known
stands there, too.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.bundle.detection import CONTRASTS, Detection
from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_manifest
from engines.errors import EngineError, StoreError
from station import said
from station.labels.schema import LabelError, labels_beside
from station.records import challenges
from station.records.engines.shadows import ShadowRun, last_challenge, of_challenge, runs
from station.records.engines.virtual import UNLIKELY, VirtualRun, read_runs
from station.records.schema import RecordingError, open_reader
from station.reports.candidate.in_words import summary
from station.reports.candidate.shadowed import Shadowed, part_labels, shadowed
from station.results import Verdict

Light = Literal["green", "red", "not known"]
LARGER = 1.1
"""A smallest size that is found may be larger by this factor: the curves of two engines are drawn by chance."""
_COMPARISON = Path("refresh") / "comparison.json"
_RELEARNED = Path("kinds") / "relearned.json"
_SAME = ("calibration", "input", "map", "map_score", "location", "ignore", "golden", "sample", "picture_bands")
"""Of two engines of which one is the other with other kinds of defects."""
_MAX_BYTES = 64 * 1024 * 1024
_MOST_RUNS = 200


class GateRed(StoreError):
    """A candidate that fails a check is to be activated, and nobody has said why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the gate."""

    name: str
    light: Light
    why: str


def gate(records: Path, active: Path | None, candidate: Path) -> list[Check]:
    """All checks of the engine in the folder `candidate`. `records`: the folder. What cannot be read is not known.

    Raises EngineError: the candidate itself cannot be read.
    """
    manifest = read_manifest(candidate)
    before = _manifest_or_none(active)
    found, masters = _shadow(records, manifest, before)
    checks = [
        _graphs(manifest, found),
        _gallery(candidate, before),
        *_of_shadow(found),
        masters,
        _virtual(records.parent, manifest, before),
        _detection(manifest.detection, None if before is None else before.detection),
    ]
    if before is None or not _scores_alike(candidate, manifest, before):
        return checks
    return [one if one.light == "red" else Check(one.name, "green", said.SCORES_AS_ACTIVE()) for one in checks]


def with_override(checks: Sequence[Check], why: str) -> str:
    """The reason for the history and the audit log, with what is overridden. Raises GateRed: it is red without one."""
    red = [check for check in checks if check.light == "red"]
    unknown = [check.name for check in checks if check.light == "not known"]
    if red and not why.strip():
        reasons = "; ".join(f"{check.name}: {check.why}" for check in red)
        raise GateRed(
            f"the gate is red ({reasons}); to use it all the same say why: station engine activate --why TEXT"
        )
    added = []
    if red:
        added.append(f"override of the gate: {', '.join(check.name for check in red)}")
    if unknown:
        added.append(f"not known: {', '.join(unknown)}")
    return "; ".join([text for text in (why.strip(), *added) if text])


def _manifest_or_none(engine: Path | None) -> Manifest | None:
    try:
        return None if engine is None else read_manifest(engine)
    except EngineError:
        return None


def _scores_alike(candidate: Path, manifest: Manifest, before: Manifest) -> bool:
    """The candidate is the active engine with other kinds of defects: `station engine kinds` has compared both."""
    try:
        made: Mapping[str, Any] = json.loads((candidate / _RELEARNED).read_bytes()[:_MAX_BYTES])
        from_active = bool(made["from_engine_id"] == before.engine_id)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return from_active and all(getattr(manifest, name) == getattr(before, name) for name in _SAME)


def _graphs(manifest: Manifest, found: Shadowed | None) -> Check:
    bad = [f"{name}: {entry.parity.summary()}" for name, entry in manifest.variants.items() if not entry.parity.passed]
    if bad:
        return Check("golden images and parity", "red", "; ".join(bad))
    if found is not None and found.seen:
        return Check("golden images and parity", "green", said.GRAPHS_AGREED())
    return Check("golden images and parity", "not known", said.GRAPHS_NOT_CHECKED())


def _gallery(candidate: Path, before: Manifest | None) -> Check:
    name = "labelled gallery"
    try:
        data = (candidate / _COMPARISON).read_bytes()[:_MAX_BYTES]
        compared: Mapping[str, Any] = json.loads(data)
        new, old = compared["candidate"], compared["active"]
        if old is None or before is None or old["engine_id"] != before.engine_id:
            return Check(name, "not known", said.COMPARED_WITH_ANOTHER())
        worse = [
            sentence(count=int(new[key]), total=int(old[key]))
            for key, sentence in (
                ("defective_passed", said.DEFECTS_THAT_PASS),
                ("labelled_good_failed", said.GOOD_REJECTED),
            )
            if int(new[key]) > int(old[key])
        ]
        seen = said.LABELS_SEEN(count=int(new["labelled_good"]), total=int(new["defective"]))
        if worse:
            return Check(name, "red", said.IN_BRACKETS(text="; ".join(worse), detail=seen))
        if not new["labelled_good"] or not new["defective"]:
            return Check(name, "not known", said.TOO_FEW_LABELS(seen=seen))
    except FileNotFoundError:
        return Check(name, "not known", said.NOT_OF_A_REFRESH())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Check(name, "not known", said.COMPARISON_NOT_READABLE())
    return Check(name, "green", said.NO_LABEL_WORSE(seen=seen))


def _shadow(records: Path, manifest: Manifest, before: Manifest | None) -> tuple[Shadowed | None, Check]:
    """The newest run of the candidate beside the active engine, and the master parts that it has seen."""
    name = "master parts"
    unseen = Check(name, "not known", said.NO_CHALLENGE_IN_SHADOW())
    try:
        with closing(open_reader(records)) as connection:
            run = next((one for one in runs(connection, _MOST_RUNS) if _is_of(one, manifest, before)), None)
            if run is None:
                return None, unseen
            found = shadowed(connection, part_labels(labels_beside(records)), run)
            return found, _masters(connection, run) or unseen
    except (RecordingError, LabelError, sqlite3.Error, ValueError, KeyError) as problem:
        return None, Check(name, "not known", said.RECORDS_NOT_READABLE(problem=problem))


def _is_of(run: ShadowRun, manifest: Manifest, before: Manifest | None) -> bool:
    beside = before is None or run.active_engine_id == before.engine_id
    return run.purpose == "shadow" and run.engine_id == manifest.engine_id and beside


def _of_shadow(found: Shadowed | None) -> list[Check]:
    names = ("false rejects", "escapes")
    if found is None:
        return [Check(f"shadow: {name}", "not known", said.NOT_IN_SHADOW()) for name in names]
    checks = []
    for name, direction in zip(names, (found.false_rejects, found.escapes), strict=True):
        lights: Mapping[str, Light] = {"worse": "red", "better": "green", "not worse": "green", "": "not known"}
        words = {
            "worse": said.MORE_THAN_ACTIVE(),
            "better": said.FEWER(),
            "not worse": said.NO_MORE(),
            "": said.NOT_ENOUGH_SEEN(),
        }
        to_label = found.to_label if not direction.finding else 0
        label = f"; {said.LABEL_THOSE(count=to_label)}" if to_label else ""
        light = lights[direction.finding]
        checks.append(
            Check(
                f"shadow: {name}",
                light,
                f"{said.IN_BRACKETS(text=words[direction.finding], detail=summary(found))}{label}",
            )
        )
    return checks


def _masters(connection: sqlite3.Connection, run: ShadowRun) -> Check | None:
    """None: it has seen none."""
    number = last_challenge(connection, run.run)
    test = next((one for one, _ in challenges.runs(connection, _MOST_RUNS) if one.number == number), None)
    if not number or test is None:
        return None
    expected = {part.name: part.expected for part in test.parts}
    parts = {step.acquisition_id: step.part for step in test.steps}
    wrong, seen = [], 0
    for row in of_challenge(connection, run.run, number):
        name = parts.get(row.acquisition_id)
        if name is None or name not in expected:
            continue
        seen += 1
        if (row.verdict == Verdict.PASS.name) != (expected[name] is Verdict.PASS):
            wrong.append(said.MASTER_IS(name=name, verdict=row.verdict, expected=expected[name].name))
    if wrong:
        return Check("master parts", "red", "; ".join(wrong))
    if seen < len(test.parts):
        return Check("master parts", "not known", said.MASTERS_SEEN(count=seen, total=len(test.parts)))
    return Check("master parts", "green", said.MASTERS_RIGHT(count=seen, total=number))


def _virtual(work_dir: Path, manifest: Manifest, before: Manifest | None) -> Check:
    """Its newest virtual challenge, beside that of the active engine."""
    name = "virtual challenge"
    try:
        found = {run.engine_id: run for run in read_runs(work_dir) if run.shown}
    except (ValueError, OSError) as problem:
        return Check(name, "not known", said.VIRTUAL_NOT_READABLE(problem=problem))
    run = found.get(manifest.engine_id)
    if run is None:
        return Check(name, "not known", said.VIRTUAL_NOT_RUN())
    seen = _seen(run)
    if run.is_worse:
        return Check(name, "red", said.VIRTUAL_LESS(seen=seen))
    active = None if before is None else found.get(before.engine_id)
    if active is not None and misses_more(run, active):
        return Check(name, "red", said.VIRTUAL_LESS_THAN_ACTIVE(seen=seen, other=_seen(active)))
    return Check(name, "green", said.VIRTUAL_AS_TAUGHT(seen=seen))


def _seen(run: VirtualRun) -> str:
    return said.VIRTUAL_FOUND(count=run.shown - run.missed, total=run.shown)


def misses_more(run: VirtualRun, other: VirtualRun) -> bool:
    """By Fisher's exact test, one-sided: the other one misses as few by chance in less than one of a thousand."""
    shown, missed = run.shown + other.shown, run.missed + other.missed
    ways = sum(
        math.comb(run.shown, count) * math.comb(other.shown, missed - count)
        for count in range(run.missed, min(run.shown, missed) + 1)
    )
    return ways / math.comb(shown, missed) < UNLIKELY


def _detection(candidate: Detection | None, active: Detection | None) -> Check:
    name = "detection curve"
    if candidate is None:
        return Check(name, "not known", said.CURVE_NOT_MEASURED())
    if active is None:
        return Check(name, "not known", said.CURVE_OF_ACTIVE_NOT_MEASURED())
    worse = []
    for contrast in CONTRASTS:
        old = {each.kind: each.review.from_px for each in active.of(contrast)}
        for each in candidate.of(contrast):
            before, now = old.get(each.kind), each.review.from_px
            if before is not None and (now is None or now > LARGER * before):
                values = {"contrast": contrast, "kind": each.kind, "other": active.shown(before)}
                worse.append(
                    said.KIND_NOT_FOUND(**values)
                    if now is None
                    else said.KIND_FROM(**values, size=candidate.shown(now))
                )
    if worse:
        return Check(name, "red", "; ".join(worse))
    return Check(name, "green", said.FINDS_EVERY_KIND())
