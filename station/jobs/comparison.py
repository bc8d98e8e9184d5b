"""Two engines on the same images, with the verdicts that the station's own rules would give."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.camera.images import read_image
from drivers.camera.protocol import CameraUnreadable
from engines import said
from engines.errors import EngineError
from engines.markdown import as_text
from station.configuration.load import LoadedConfiguration
from station.jobs.refresh_labels import RefreshError
from station.jobs.refresh_selection import Group, PartImage
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import load_inspector
from station.records.images import heights_beside
from station.results import SEVERITY, Frame, Verdict

FEW_DEFECTS = 5
_GOOD = (Group.GOOD, Group.PASSED, Group.EARLIER)


@dataclass(frozen=True, slots=True)
class Judged:
    """What an engine, under the station's rules, says of an image."""

    verdict: str
    score: float | None
    """0 to 1, 0.5 is the engine's reject limit; None when it could not be scored."""


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """An engine on the held-out images. None: no images show it."""

    engine_id: str
    good_failed: int
    """Of the good parts: labelled good, or passed by the station and not labelled."""
    good_in_review: int
    good: int
    labelled_good_failed: int
    labelled_good: int
    defective_passed: int
    defective: int
    auroc: float | None
    """Labelled defective parts against good ones."""

    @property
    def false_reject_share(self) -> float | None:
        return self.good_failed / self.good if self.good else None


@dataclass(frozen=True, slots=True)
class Changed:
    """A part that the two engines judge differently."""

    part_id: str
    key: str
    group: str
    active: Judged
    candidate: Judged
    camera: str = ""
    """Of the view; empty for an image of a folder."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate and active engine on the same held-out images."""

    held_out: dict[str, int]
    """Images by what is known of them."""
    candidate: EngineFigures
    active: EngineFigures | None
    agreement: float | None
    """Share of images with the same verdict."""
    rank_correlation: float | None
    """Spearman's, of the scores."""
    changed: tuple[Changed, ...]
    """Defects that would escape first."""
    seen_by_active: int | None
    """Held-out images that the active engine learned from; None: it has no list of what it learned from."""
    notes: tuple[str, ...]

    def as_json(self) -> str:
        """For `comparison.json`."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"


def judge(
    configuration: LoadedConfiguration,
    engine: Path,
    images: Sequence[tuple[str, Path]],
    on_step: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[str, list[Judged]]:
    """The engine's id and its verdicts on `images`, (camera, file), under the rules of this configuration.

    Raises RefreshError when the engine or an image cannot be used.
    """
    try:
        inspector = load_inspector(engine, configuration.settings, {}, threads=1)
    except (EngineError, LimitsError) as problem:
        raise RefreshError(f"cannot compare: {problem}") from problem
    if inspector is None:
        raise RefreshError(f'cannot compare: engine "{engine}" is not there')
    judged = []
    try:
        for number, (camera, image) in enumerate(images, start=1):
            frame = Frame(camera, number, read_image(image), 0, 0, heights_beside(image))
            (inspection,) = inspector.inspect([inspector.begin(frame)])
            measurement = inspection.measurement
            score = measurement.score if measurement is not None and math.isfinite(measurement.score) else None
            judged.append(Judged(inspection.decision.verdict.name, score))
            on_step(number, len(images))
    except (EngineError, CameraUnreadable) as problem:
        raise RefreshError(f'cannot compare: "{image}": {problem}') from problem
    finally:
        inspector.scorer.close()
    return inspector.engine_id, judged


def compare(
    parts: Sequence[PartImage],
    candidate: tuple[str, Sequence[Judged]],
    active: tuple[str, Sequence[Judged]] | None,
    *,
    seen_by_active: int | None = None,
    known_defects: str = "",
) -> Comparison:
    """What changes when the candidate takes the place of the active engine, which may be none.

    `known_defects`: what labelled defects changed in the candidate, measured by leaving them out.
    """
    groups = [part.group for part in parts]
    figures = _figures(candidate, groups)
    agreement = correlation = None
    changed: list[Changed] = []
    if active is not None:
        pairs = list(zip(parts, active[1], candidate[1], strict=True))
        changed = [
            Changed(p.part_id, p.key, p.group.value, a, c, p.camera) for p, a, c in pairs if a.verdict != c.verdict
        ]
        changed.sort(key=_importance)
        agreement = 1 - len(changed) / len(pairs) if pairs else None
        scored = [(a.score, c.score) for _, a, c in pairs if a.score is not None and c.score is not None]
        correlation = rank_correlation(*map(np.array, zip(*scored, strict=True))) if len(scored) > 2 else None
    active_figures = None if active is None else _figures(active, groups)
    return Comparison(
        held_out={group.value: groups.count(group) for group in Group if group in groups},
        candidate=figures,
        active=active_figures,
        agreement=agreement,
        rank_correlation=correlation,
        changed=tuple(changed),
        seen_by_active=None if active is None else seen_by_active,
        notes=_notes(figures, active_figures, seen_by_active, groups, known_defects),
    )


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Spearman's: the correlation of the ranks; None when one of them is constant."""
    ranks = _ranks(first), _ranks(second)
    if min(np.ptp(ranks[0]), np.ptp(ranks[1])) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def auroc(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """Chance that a bad one scores above a good one, equal scores half (Mann-Whitney); None when there are none."""
    if not good or not bad:
        return None
    ranks = _ranks(np.array([*bad, *good]))
    u = ranks[: len(bad)].sum() - len(bad) * (len(bad) + 1) / 2
    return float(u / (len(bad) * len(good)))


def markdown(comparison: Comparison) -> str:
    """A page for people."""
    engines = [("candidate", comparison.candidate)]
    if comparison.active is not None:
        engines.insert(0, ("active", comparison.active))
    rows = [["", *(name for name, _ in engines)], ["---", *("---" for _ in engines)]]
    rows += [[title, *(read(figures) for _, figures in engines)] for title, read in FIGURES]
    lines = ["# Candidate engine beside the active one", ""]
    lines += [
        "Held-out images: " + ", ".join(f"{count} {as_text(group)}" for group, count in comparison.held_out.items()),
        "",
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    if comparison.agreement is not None:
        correlation = "unknown" if comparison.rank_correlation is None else f"{comparison.rank_correlation:.3f}"
        lines += ["", f"Same verdict: {comparison.agreement:.1%}. Rank correlation of the scores: {correlation}."]
    lines += ["", *(f"- {as_text(note)}" for note in comparison.notes)]
    if comparison.changed:
        lines += ["", "| part | known as | active | candidate |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {as_text(c.part_id)} | {as_text(c.group)} | {verdict_text(c.active)} | {verdict_text(c.candidate)} |"
            for c in comparison.changed
        ]
    return "\n".join(lines) + "\n"


def verdict_text(judged: Judged) -> str:
    """A verdict with its score."""
    return judged.verdict if judged.score is None else f"{judged.verdict} {judged.score:.3f}"


def _of(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.1%})" if total else "none there"


FIGURES: tuple[tuple[str, Callable[[EngineFigures], str]], ...] = (
    ("engine", lambda q: q.engine_id[:12]),
    ("good parts rejected", lambda q: _of(q.good_failed, q.good)),
    ("of those labelled good", lambda q: _of(q.labelled_good_failed, q.labelled_good)),
    ("good parts in review", lambda q: _of(q.good_in_review, q.good)),
    ("labelled defects that pass", lambda q: _of(q.defective_passed, q.defective)),
    ("AUROC", lambda q: "unknown" if q.auroc is None else f"{q.auroc:.4f}"),
)
"""Title and value of each line of a table of engines."""


def _figures(judged: tuple[str, Sequence[Judged]], groups: Sequence[Group]) -> EngineFigures:
    engine_id, results = judged
    pairs = list(zip(results, groups, strict=True))
    good = [result for result, group in pairs if group in _GOOD]
    labelled_good = [result for result, group in pairs if group is Group.GOOD]
    defective = [result for result, group in pairs if group is Group.DEFECTIVE]

    def count(among: Sequence[Judged], *verdicts: Verdict) -> int:
        return sum(result.verdict in {verdict.name for verdict in verdicts} for result in among)

    return EngineFigures(
        engine_id=engine_id,
        good_failed=count(good, Verdict.FAIL, Verdict.ERROR),
        good_in_review=count(good, Verdict.REVIEW),
        good=len(good),
        labelled_good_failed=count(labelled_good, Verdict.FAIL, Verdict.ERROR),
        labelled_good=len(labelled_good),
        defective_passed=count(defective, Verdict.PASS),
        defective=len(defective),
        auroc=auroc(
            [result.score for result in good if result.score is not None],
            [result.score for result in defective if result.score is not None],
        ),
    )


def _notes(
    candidate: EngineFigures,
    active: EngineFigures | None,
    seen: int | None,
    groups: Sequence[Group],
    known_defects: str,
) -> tuple[str, ...]:
    """What a reader must know before believing the figures."""
    notes = []
    if active is None:
        notes.append(said.NO_ACTIVE())
    elif seen is None:
        notes.append(said.MAY_HAVE_LEARNED())
    elif seen:
        notes.append(said.HAS_LEARNED(count=seen))
    if Group.PASSED in groups:
        notes.append(said.PASSED_COUNT_AS_GOOD())
    if Group.UNKNOWN in groups:
        notes.append(said.WITHOUT_A_LABEL())
    if candidate.defective == 0:
        notes.append(said.NO_LABELLED())
    elif candidate.defective < FEW_DEFECTS:
        notes.append(said.FEW_LABELLED(count=candidate.defective))
    if candidate.defective:
        notes.append(said.KNEW_THE_DEFECTS(known=known_defects or said.NOT_MEASURED()))
    if active is not None and candidate.defective_passed > active.defective_passed:
        notes.append(said.MORE_DEFECTS_PASS())
    if active is not None and candidate.good_failed > active.good_failed:
        notes.append(said.MORE_GOOD_REJECTED())
    return tuple(notes)


def _importance(change: Changed) -> tuple[bool, int, str]:
    """Labelled defects that the candidate passes first, then the largest steps between verdicts."""
    escapes = change.group == Group.DEFECTIVE.value and change.candidate.verdict == Verdict.PASS.name
    step = abs(SEVERITY[Verdict[change.candidate.verdict]] - SEVERITY[Verdict[change.active.verdict]])
    return not escapes, -step, change.key


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)
