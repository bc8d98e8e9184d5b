"""Results as tables in markdown: mean over seeds, with the deviation over seeds where there are several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from engines.markdown import table
from engines.training.evaluation import papers
from engines.training.evaluation.causes import CAUSES
from engines.training.evaluation.results import CONTAMINATED, STANDARD, Result
from engines.training.evaluation.runner import ALL_REFINEMENTS, ORACLE

Figure = Callable[[Result], "float | None"]
Column = tuple[str, int]
"""(protocol, noise)."""

MISSING = "–"


class Results:
    """All results, asked by what they have in common."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.all = tuple(results)
        good = [result for result in self.all if result.error is None]
        self.failed = tuple(result for result in self.all if result.error is not None)
        self._by_key: dict[tuple[str, str, str, str, int], list[Result]] = {}
        for result in good:
            key = result.dataset, result.detector, result.refine, result.protocol, result.noise
            self._by_key.setdefault(key, []).append(result)
        self.datasets = sorted({result.dataset for result in self.all})
        self.detectors = sorted({result.detector for result in self.all})
        found = {result.refine for result in self.all}
        self.refines = [refine for refine in ALL_REFINEMENTS if refine in found]
        self.columns: list[Column] = sorted(
            {(result.protocol, result.noise) for result in self.all}, key=lambda column: (column[0] != STANDARD, column)
        )

    @property
    def noises(self) -> list[int]:
        """Of the papers' protocol."""
        return [noise for protocol, noise in self.columns if protocol == CONTAMINATED]

    def get(self, dataset: str, detector: str, refine: str, column: Column) -> list[Result]:
        """The results of all seeds."""
        return self._by_key.get((dataset, detector, refine, *column), [])

    def by_seed(self, detector: str, refine: str, column: Column, figure: Figure) -> dict[int, float]:
        """Seed -> mean over the data sets; only seeds that are there for every data set."""
        per_seed: dict[int, list[float]] = {}
        for dataset in self.datasets:
            for result in self.get(dataset, detector, refine, column):
                value = figure(result)
                if value is not None:
                    per_seed.setdefault(result.seed, []).append(value)
        return {seed: float(np.mean(values)) for seed, values in per_seed.items() if len(values) == len(self.datasets)}


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the first column is text, the others numbers. What others wrote is text in each of them."""
    return table(list(header), ["---", *["---:"] * (len(header) - 1)], [list(row) for row in rows])


def column_name(column: Column) -> str:
    """For people."""
    protocol, noise = column
    return f"{noise} %" if protocol == CONTAMINATED else f"{protocol} split"


def spread(values: Iterable[float | None], digits: int = 4) -> str:
    """Mean ± deviation."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    mean = f"{np.mean(known):.{digits}f}"
    return f"{mean} ± {np.std(known, ddof=1):.{digits}f}" if len(known) > 1 else mean


def mean_table(results: Results, figure: Figure) -> str:
    """Mean over the data sets, one row per detector and refinement."""
    rows = [
        [
            detector,
            refine,
            *(spread(results.by_seed(detector, refine, column, figure).values()) for column in results.columns),
        ]
        for detector in results.detectors
        for refine in results.refines
    ]
    return markdown(["detector", "refinement", *map(column_name, results.columns)], rows)


def set_table(results: Results, dataset: str, figure: Figure, digits: int = 4) -> str:
    """One data set, one row per detector and refinement, and the papers' figures where they have this set."""
    rows = [
        [
            detector,
            refine,
            *(
                spread((figure(result) for result in results.get(dataset, detector, refine, column)), digits)
                for column in results.columns
            ),
        ]
        for detector in results.detectors
        for refine in results.refines
    ]
    return markdown(["detector", "refinement", *map(column_name, results.columns)], rows)


def paper_rows(results: Results, values: dict[str, tuple[float, ...]], suffix: str) -> list[list[str]]:
    """Rows of the papers in the columns that we have."""
    return [
        [
            f"papers, {suffix}",
            name,
            *(
                f"{figures[papers.NOISE_PERCENT.index(noise)]:.4f}"
                if protocol == CONTAMINATED and noise in papers.NOISE_PERCENT
                else MISSING
                for protocol, noise in results.columns
            ),
        ]
        for name, figures in values.items()
    ]


def gap_table(results: Results) -> str:
    """Image AUROC of the oracle less that of each refinement, for the same sets and seeds."""
    rows = []
    for detector in results.detectors:
        for refine in results.refines:
            if refine == ORACLE:
                continue
            cells = []
            for column in results.columns:
                ceiling = results.by_seed(detector, ORACLE, column, _image_auroc)
                reached = results.by_seed(detector, refine, column, _image_auroc)
                cells.append(spread(ceiling[seed] - reached[seed] for seed in ceiling.keys() & reached.keys()))
            rows.append([detector, refine, *cells])
    return markdown(["detector", "refinement", *map(column_name, results.columns)], rows)


def removed_table(results: Results) -> str:
    """Good/bad images removed, mean over seeds, beside table 2 of the papers."""
    rows = []
    for dataset in results.datasets:
        for detector in results.detectors:
            there = [
                _good_bad(results.get(dataset, detector, "none", column), "train_good", "train_bad")
                for column in results.columns
            ]
            rows.append([dataset, detector, "(there)", *there])
            for refine in results.refines:
                if refine in (ORACLE, "none"):
                    continue
                cells = [
                    _good_bad(results.get(dataset, detector, refine, column), "removed_good", "removed_bad")
                    for column in results.columns
                ]
                rows.append([dataset, detector, refine, *cells])
        published = papers.IRP_REMOVED.get(papers.paper_name(dataset))
        if published:
            cells = [
                published[papers.NOISE_PERCENT.index(noise)]
                if protocol == CONTAMINATED and noise in papers.NOISE_PERCENT
                else MISSING
                for protocol, noise in results.columns
            ]
            rows.append([dataset, "papers", "irp", *cells])
    return markdown(["data set", "detector", "refinement", *map(column_name, results.columns)], rows)


def share_table(results: Results, figure: Figure) -> str:
    """A share in percent, mean over seeds."""
    rows = []
    for dataset in results.datasets:
        for detector in results.detectors:
            for refine in results.refines:
                cells = []
                for column in results.columns:
                    values = [figure(result) for result in results.get(dataset, detector, refine, column)]
                    known = [value for value in values if value is not None]
                    cells.append(f"{100 * np.mean(known):.1f} %" if known else MISSING)
                rows.append([dataset, detector, refine, *cells])
    return markdown(["data set", "detector", "refinement", *map(column_name, results.columns)], rows)


def escape_table(results: Results, dataset: str, refine: str) -> str:
    """Which defects pass, by kind, mean over seeds: at the calibrated limits, and what ranking alone allows."""
    rows = []
    for detector in results.detectors:
        for column in results.columns:
            found = results.get(dataset, detector, refine, column)
            for kind in ("", *sorted({kind for result in found for kind in result.escapes_by_defect})):
                of_kind = [result.escapes_by_defect.get(kind) if kind else result.escapes for result in found]
                known = [escapes for escapes in of_kind if escapes is not None]
                if known:
                    shares = np.mean(
                        [(each.passed, each.not_rejected, each.ranked_1, each.ranked_5) for each in known], axis=0
                    )
                    count = f"{np.mean([each.count for each in known]):.3g}"
                    named = [detector, column_name(column), kind or "all kinds", count]
                    rows.append([*named, *(f"{share:.2f}" for share in shares)])
    header = ["detector", "training set", "defect", "images", "pass", "not rejected", "at 1 %", "at 5 %"]
    return markdown(header, rows)


def trade_off_table(results: Results, dataset: str, refine: str) -> str:
    """What passes when this share of the good test images is rejected or in review, by ranking, mean over seeds."""
    header: list[str] = []
    rows = []
    for detector in results.detectors:
        for column in results.columns:
            known = [result.trade_off for result in results.get(dataset, detector, refine, column) if result.trade_off]
            if known:
                header = [f"{share} %" for share in known[0]]
                means = [float(np.mean([each[share] for each in known])) for share in known[0]]
                rows.append([detector, column_name(column), *(f"{mean:.2f}" for mean in means)])
    return markdown(["detector", "training set", *header], rows)


def budget_table(results: Results, dataset: str, refine: str) -> str:
    """What passes and how many good ones are above the limit, at each calibrated review budget, mean over seeds."""
    header: list[str] = []
    rows = []
    for detector in results.detectors:
        for column in results.columns:
            found = results.get(dataset, detector, refine, column)
            known = [result.at_review_budget for result in found if result.at_review_budget]
            if known:
                header = [f"{budget} %" for budget in known[0]]
                for figure, name in (("passed", "defects that pass"), ("good_above", "good above")):
                    means = [float(np.mean([each[budget][figure] for each in known])) for budget in known[0]]
                    rows.append([detector, column_name(column), name, *(f"{mean:.3f}" for mean in means)])
    return markdown(["detector", "training set", "share", *header], rows)


def cause_table(results: Results, dataset: str, refine: str) -> str:
    """Why defects pass at the calibrated review limit, mean over seeds."""
    rows = []
    for detector in results.detectors:
        for column in results.columns:
            known = [result.causes for result in results.get(dataset, detector, refine, column) if result.causes]
            if known:
                shares = [float(np.mean([each[cause] for each in known])) for cause in CAUSES]
                rows.append([detector, column_name(column), *(f"{share:.2f}" for share in (sum(shares), *shares))])
    return markdown(["detector", "training set", "pass", *CAUSES], rows)


def time_table(results: Results) -> str:
    """Seconds and milliseconds."""
    rows = []
    for dataset in results.datasets:
        for detector in results.detectors:
            for refine in results.refines:
                found = [
                    result for column in results.columns for result in results.get(dataset, detector, refine, column)
                ]
                if found:
                    features_s = [result.features_s for result in found if result.features_s is not None]
                    rows.append(
                        [
                            dataset,
                            detector,
                            refine,
                            spread((result.training_s for result in found), 1),
                            f"{max(features_s):.1f}" if features_s else MISSING,
                            spread((min(r.inference_ms for r in found if r.inference_ms is not None),), 1)
                            if any(r.inference_ms is not None for r in found)
                            else MISSING,
                        ]
                    )
    return markdown(["data set", "detector", "refinement", "training s", "features s", "inference ms"], rows)


def order_claims(results: Results) -> list[str]:
    """Whether none < osr < irp holds, said for each detector."""
    claims = []
    noisy = [(CONTAMINATED, noise) for noise in results.noises if noise > 0]
    for detector in results.detectors:
        means = {}
        for refine in ("none", "osr", "irp"):
            values = [
                value for column in noisy for value in results.by_seed(detector, refine, column, _image_auroc).values()
            ]
            if values:
                means[refine] = float(np.mean(values))
        if len(means) == 3:
            holds = means["none"] < means["osr"] < means["irp"]
            claims.append(
                f"`{detector}`: vanilla {means['none']:.4f}, OSR {means['osr']:.4f}, IRP {means['irp']:.4f} (mean "
                f"image AUROC over the sets, seeds and noise above 0 %): vanilla < OSR < IRP "
                f"**{'holds' if holds else 'does not hold'}**."
            )
    return claims


def _image_auroc(result: Result) -> float | None:
    return result.image_auroc


def _good_bad(found: Sequence[Result], good: str, bad: str) -> str:
    if not found:
        return MISSING
    return "/".join(f"{np.mean([getattr(result, name) for result in found]):.3g}" for name in (good, bad))
