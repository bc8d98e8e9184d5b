"""The report: what was measured, beside what the papers report; as tables, and as a page with the verdict first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from engines.markdown import as_text
from engines.training.evaluation import papers, tables
from engines.training.evaluation.page.writing import write_page
from engines.training.evaluation.plots import SHOWN_FIRST, draw_all
from engines.training.evaluation.results import Result, ResultFolder, atomic_file
from engines.training.evaluation.tables import Results


def write_report(folder: ResultFolder) -> None:
    """Write `report.md` and `report.html` from the results that are there.

    Raises:
        TrainingError: a result cannot be read.
    """
    results = Results(folder.all())
    pictures = draw_all(folder, results)
    with atomic_file(folder.folder / "report.md") as temporary:
        temporary.write_text(_text(results, pictures), encoding="utf-8")
    write_page(folder, results, pictures)


def _text(results: Results, pictures: Mapping[str, Sequence[str]]) -> str:
    parts = ["# Evaluation\n"]
    if not results.all:
        return parts[0] + "\nNo results yet.\n"
    parts += [_summary(results), "## Image AUROC, mean over the data sets\n", tables.mean_table(results, _auroc)]
    published = tables.paper_rows(results, papers.MVTEC_MEAN_AUROC, "mean of 10 MVTec AD categories")
    header = ["", "refinement", *map(tables.column_name, results.columns)]
    parts += [f"For comparison, {papers.SOURCE}:\n", tables.markdown(header, published)]
    parts += [claim + "\n" for claim in tables.order_claims(results)]
    parts += ["## Gap to the oracle (image AUROC; negative: better than the oracle)\n", tables.gap_table(results)]
    for heading, names in pictures.items():
        shown = as_text(heading)
        parts += [f"## {shown}\n", *(f"![{shown}]({quote(name)})\n" for name in names)]
    for dataset in results.datasets:
        parts.append(f"## {as_text(dataset)}\n")
        parts += ["Image AUROC\n", tables.set_table(results, dataset, _auroc)]
        known = papers.IRP_AUROC.get(papers.paper_name(dataset))
        if known:
            rows = tables.paper_rows(results, {"irp": known}, dataset)
            parts += [f"{papers.SOURCE}:\n", tables.markdown(header, rows)]
        refine = next(refine for refine in SHOWN_FIRST if refine in results.refines)
        parts += [_ESCAPES.format(refine=refine), tables.escape_table(results, dataset, refine)]
        parts += [_TRADE_OFF, tables.trade_off_table(results, dataset, refine)]
        parts += [_BUDGETS, tables.budget_table(results, dataset, refine)]
        parts += [_CAUSES, tables.cause_table(results, dataset, refine)]
        parts += ["F1-max\n", tables.set_table(results, dataset, lambda result: result.f1_max)]
        if any(result.pixel_auroc is not None for result in results.all if result.dataset == dataset):
            parts += ["Pixel AUROC\n", tables.set_table(results, dataset, lambda result: result.pixel_auroc)]
            parts += ["AUPRO, up to 0.3\n", tables.set_table(results, dataset, lambda result: result.aupro)]
    parts += ["## Images removed, good/bad\n", tables.removed_table(results)]
    parts += ["## Promised and realised at the calibrated limits\n", _promised(results)]
    for heading, figure in _VERDICTS.items():
        parts += [f"{heading}\n", tables.share_table(results, figure)]
    parts += ["## Time\n", tables.time_table(results)]
    if results.failed:
        rows = [[result.run.name, str(result.error)] for result in results.failed]
        parts += ["## Failed runs\n", tables.markdown(["run", "why"], rows)]
    return "\n".join(parts)


def _summary(results: Results) -> str:
    seeds = sorted({result.seed for result in results.all})
    sets, detectors = (", ".join(map(as_text, names)) for names in (results.datasets, results.detectors))
    return (
        f"{len(results.all)} runs, {len(results.failed)} failed; data sets {sets}; "
        f"detectors {detectors}; seeds {', '.join(map(str, seeds))}.\n\n"
        "Noise is the share of defective images in the training set. Half of the defective images of each type are the "
        "dirt, the other half and all good test images are tested, at every noise; where dirt is scarce, good images "
        "are left out. The oracle learns the good images of the same training set. Deviations are over seeds.\n"
    )


def _auroc(result: Result) -> float | None:
    return result.image_auroc


def _promised(results: Results) -> str:
    budgets = {result.false_reject_budget for result in results.all if result.false_reject_budget is not None}
    words = " or ".join(f"{100 * budget:g} %" for budget in sorted(budgets))
    judged = [result for result in results.all if result.promise_refuted is not None]
    refuted = sorted(as_text(result.run.name) for result in judged if result.promise_refuted)
    return (
        f"Promised: at most {words} of good parts are rejected, calibrated on training images only. Rejected good "
        f"test images are more than chance explains in {len(refuted)} of {len(judged)} runs"
        f"{': ' + ', '.join(refuted) if refuted else ''} (copies of one part count once, see results.json).\n"
    )


_ESCAPES = (
    "Share of the defects that escape, by kind (refinement {refine}): *pass* at the calibrated review limit, *not "
    "rejected* at the calibrated reject limit, and below the limits that reject 1 % and 5 % of the good test images: "
    "what ranking alone allows.\n"
)
_TRADE_OFF = (
    "Trade-off by ranking: share of the defects that pass when this share of the good test images is above the limit.\n"
)
_BUDGETS = (
    "Calibrated review limits of other budgets: the share of the defects that pass, and of the good test images that "
    "are rejected or in review.\n"
)
_CAUSES = (
    "Why defects pass at the calibrated review limit: *location*, less than half of the defect is in what the model "
    "sees; *limit*, a limit that spends the review budget on the good test images would catch it; *ranking*, as many "
    "good images score as high.\n"
)
_VERDICTS: dict[str, tables.Figure] = {
    "Good images rejected": lambda result: result.false_reject,
    "Good images in review": lambda result: result.good_review,
    "Defective images passed (escapes)": lambda result: result.escape,
    "Defective images in review": lambda result: result.defective_review,
}
