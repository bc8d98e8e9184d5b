"""Draws the mistakes to look at first and writes `report.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from engines.markdown import one_line
from engines.training.dossier.pictures import write_jpeg
from engines.training.evaluation.page.first import (
    PASSED,
    REJECTED,
    Mistake,
    first_mistakes,
    mistakes_of,
    shown_results,
    verdict_of,
)
from engines.training.evaluation.plots import SHOWN_FIRST, mistake_picture
from engines.training.evaluation.results import CONTAMINATED, Result, ResultFolder, atomic_file
from engines.training.evaluation.tables import MISSING, Results, column_name
from engines.training.pages import look

PAGE = "report.html"
_PER_GOOD, _PER_DEFECT = 1000, 100
_HEADINGS = {
    "Image AUROC against noise": "How well good and defective parts are ranked (AUROC), by defects among the taught",
    "Scores": "Scores of good and of defective parts",
    "Trade-off": "What passes when more good parts may be rejected",
    "Worst mistakes": "Good parts with the highest scores, defective ones with the lowest",
}
"""Of `report.md`, in words."""


@dataclass(frozen=True)
class Shown:
    """A mistake as the page shows it."""

    name: str
    why: str
    where: str
    pictures: tuple[tuple[str, str], ...]
    """Address and what it is."""


@dataclass(frozen=True)
class Line:
    """What happens to parts of one data set."""

    dataset: str
    detector: str
    training_set: str
    rejected: str
    in_review: str
    passed: str
    tested: str
    by_kind: tuple[tuple[str, str, int], ...]
    """Kind of defect, how many of 100 pass, and how many were tested."""


def write_page(folder: ResultFolder, results: Results, plots: Mapping[str, Sequence[str]]) -> None:
    """Write the page and the pictures of the mistakes.

    Args:
        plots: heading -> files of the report, relative to the folder.

    Raises:
        TrainingError: a result cannot be read, or a picture not be written.
    """
    shown = shown_results(results, SHOWN_FIRST)
    found = [mistakes_of(result, folder.arrays(result)) for result in shown]
    mistakes = [_drawn(folder, number, one) for number, one in enumerate(first_mistakes(found), start=1)]
    refines = sorted({result.refine for result in shown})
    text = look.render(
        "engines.training.evaluation.page",
        "report.html.j2",
        {
            "verdict": verdict_of(results, shown, len(mistakes)),
            "mistakes": mistakes,
            "lines": _lines(shown),
            "passed": _mean([result.escape for result in shown], _PER_DEFECT),
            "rejected": _mean([result.false_reject for result in shown], _PER_GOOD),
            "in_review": _mean([result.good_review for result in shown], _PER_GOOD),
            "budgets": sorted({r.false_reject_budget for r in shown if r.false_reject_budget is not None}),
            "refines": refines,
            "plots": {
                _HEADINGS.get(heading, heading): [quote(name) for name in names] for heading, names in plots.items()
            },
            "failed": [(result.run.name, str(result.error)) for result in results.failed],
            "runs": len(results.all),
            "seeds": len({result.seed for result in results.all}),
        },
    )
    with atomic_file(folder.folder / PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _drawn(folder: ResultFolder, number: int, mistake: Mistake) -> Shown:
    result = mistake.result
    drawn = mistake_picture(folder, result, mistake.position)
    pictures = []
    for kind, pixels in (("image", drawn.plain), ("heat map, and the outline of the defect", drawn.heated)):
        if pixels is not None:
            name = f"plots/first-{number}-{'plain' if kind == 'image' else 'map'}.jpg"
            with atomic_file(folder.folder / name) as temporary:
                write_jpeg(temporary, np.asarray(pixels, np.uint8))
            pictures.append((name, kind))
    limit = result.review_score if mistake.is_defective else result.reject_score
    beyond = "somebody looks above" if mistake.is_defective else "rejected above"
    return Shown(
        name=one_line(drawn.name),
        why=PASSED.format(kind=one_line(drawn.kind)) if mistake.is_defective else REJECTED,
        where=f"{result.dataset}, {result.detector}: score {mistake.score:.3g}, {beyond} {limit:.3g}",
        pictures=tuple(pictures),
    )


def _lines(shown: Sequence[Result]) -> list[Line]:
    lines = []
    for case in dict.fromkeys((r.dataset, r.detector, r.protocol, r.noise) for r in shown):
        runs = [r for r in shown if (r.dataset, r.detector, r.protocol, r.noise) == case]
        kinds = sorted({kind for run in runs for kind in run.escapes_by_defect})
        lines.append(
            Line(
                dataset=one_line(case[0]),
                detector=case[1],
                training_set=column_name((case[2], case[3])) if case[2] == CONTAMINATED else f"none, {case[2]} split",
                rejected=_mean([run.false_reject for run in runs], _PER_GOOD),
                in_review=_mean([run.good_review for run in runs], _PER_GOOD),
                passed=_mean([run.escape for run in runs], _PER_DEFECT),
                tested=f"{max(r.test_good for r in runs)} / {max(r.test_defective for r in runs)}",
                by_kind=tuple(_kind(runs, kind) for kind in kinds),
            )
        )
    return lines


def _kind(runs: Sequence[Result], kind: str) -> tuple[str, str, int]:
    known = [run.escapes_by_defect[kind] for run in runs if kind in run.escapes_by_defect]
    return one_line(kind), _mean([each.passed for each in known], _PER_DEFECT), max(each.count for each in known)


def _mean(shares: Sequence[float | None], per: int) -> str:
    known = [share for share in shares if share is not None]
    return f"{per * float(np.mean(known)):.3g}" if known else MISSING
