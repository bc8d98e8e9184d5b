"""The report's pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engines.errors import DatasetError
from engines.markdown import one_line
from engines.overlay import coloured, fitted, outline
from engines.training.evaluation import papers
from engines.training.evaluation.pixels import MAX_SIDE_PX
from engines.training.evaluation.results import CONTAMINATED, Result, ResultFolder, atomic_file
from engines.training.evaluation.tables import Results, column_name
from engines.training.images.dataset import read_image

COLOURS = {"oracle": "black", "none": "tab:red", "osr": "tab:orange", "irp": "tab:blue", "auto": "tab:green"}
PAPER_LINE = "k:."
SHOWN_FIRST = ("auto", "irp", "osr", "none", "oracle")
"""The refinement whose scores and mistakes are shown, the first that there is."""
DPI = 110
MAX_COLUMNS = 4
PAGE_PX = 640
"""Longer side of a picture that enlarges."""


def draw_all(folder: ResultFolder, results: Results) -> dict[str, list[str]]:
    """Draw every picture into `plots`; returns heading -> file names, relative to the folder."""
    plots = folder.folder / "plots"
    plots.mkdir(exist_ok=True)
    drawn: dict[str, list[str]] = {"Image AUROC against noise": [], "Scores": [], "Trade-off": [], "Worst mistakes": []}
    if results.noises:
        for detector in results.detectors:
            name = f"plots/auroc-{detector}.png"
            _save(_draw_auroc(results, detector), folder.folder / name)
            drawn["Image AUROC against noise"].append(name)
    for dataset in results.datasets:
        for detector in results.detectors:
            shown = _shown_runs(results, dataset, detector)
            if not shown:
                continue
            name = f"plots/scores-{dataset}-{detector}.png"
            _save(_draw_scores(folder, shown), folder.folder / name)
            drawn["Scores"].append(name)
            name = f"plots/trade-off-{dataset}-{detector}.png"
            _save(_draw_trade_off(folder, shown), folder.folder / name)
            drawn["Trade-off"].append(name)
            figure = _draw_mistakes(folder, shown[0])
            if figure is not None:
                name = f"plots/mistakes-{dataset}-{detector}.png"
                _save(figure, folder.folder / name)
                drawn["Worst mistakes"].append(name)
    return {heading: names for heading, names in drawn.items() if names}


def _save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png")


def _shown_runs(results: Results, dataset: str, detector: str) -> list[Result]:
    """Of one refinement and the first seed: the cleanest and the dirtiest training set."""
    for refine in SHOWN_FIRST:
        found = [result for column in results.columns for result in results.get(dataset, detector, refine, column)[:1]]
        if found:
            return found[:1] if len(found) == 1 else [found[0], found[-1]]
    return []


def _draw_auroc(results: Results, detector: str) -> Figure:
    figure, axes = _panels(len(results.datasets) + 1, 3.6, 3.2)
    noises = results.noises
    for panel, dataset in zip(axes, results.datasets, strict=False):
        for refine in results.refines:
            values = [
                [r.image_auroc for r in results.get(dataset, detector, refine, (CONTAMINATED, n)) if r.image_auroc]
                for n in noises
            ]
            _errorbar(panel, noises, values, refine)
        published = papers.IRP_AUROC.get(papers.paper_name(dataset))
        if published:
            panel.plot(papers.NOISE_PERCENT, published, PAPER_LINE, label="papers' IRP")
        panel.set_title(_drawn(dataset))
    mean = axes[len(results.datasets)]
    for refine in results.refines:
        values = [
            list(results.by_seed(detector, refine, (CONTAMINATED, n), lambda r: r.image_auroc).values()) for n in noises
        ]
        _errorbar(mean, noises, values, refine)
    mean.plot(papers.NOISE_PERCENT, papers.MVTEC_MEAN_AUROC["irp"], PAPER_LINE, label="papers' IRP, MVTec mean")
    mean.set_title("mean over the sets")
    for panel in axes:
        panel.set_xlabel("defective training images, %")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("image AUROC")
    mean.legend(fontsize="small")
    figure.suptitle(f"{_drawn(detector)}: mean and deviation over seeds")
    return figure


def _errorbar(panel: Axes, noises: Sequence[int], values: Sequence[Sequence[float]], refine: str) -> None:
    known = [(noise, found) for noise, found in zip(noises, values, strict=True) if found]
    if known:
        panel.errorbar(
            [noise for noise, _ in known],
            [float(np.mean(found)) for _, found in known],
            yerr=[float(np.std(found, ddof=1)) if len(found) > 1 else 0.0 for _, found in known],
            label=refine,
            color=COLOURS.get(refine),
            marker="o",
            markersize=3,
            capsize=3,
        )


def _draw_scores(folder: ResultFolder, shown: Sequence[Result]) -> Figure:
    figure, axes = _panels(len(shown), 5.0, 3.2)
    for panel, result in zip(axes, shown, strict=True):
        scores = folder.arrays(result).get("scores")
        panel.set_title(_drawn(_title(result)), fontsize="small")
        if scores is None:
            continue
        bins = np.histogram_bin_edges(scores, bins=40).tolist()
        panel.hist(scores[: result.test_good], bins, alpha=0.6, color="tab:green", label="good")
        panel.hist(scores[result.test_good :], bins, alpha=0.6, color="tab:red", label="defective")
        for limit, style, label in ((result.review_score, "--", "review"), (result.reject_score, "-", "reject")):
            if limit is not None:
                panel.axvline(limit, color="black", linestyle=style, linewidth=1, label=f"{label} limit")
        panel.set_xlabel("raw score")
        panel.legend(fontsize="x-small")
    axes[0].set_ylabel("test images")
    return figure


def _draw_trade_off(folder: ResultFolder, shown: Sequence[Result]) -> Figure:
    """Defects that pass against good images above the limit, at every limit; marks where the calibrated limits lie."""
    figure, axes = _panels(len(shown), 5.0, 3.6)
    for panel, result in zip(axes, shown, strict=True):
        panel.set_title(_drawn(_title(result)), fontsize="small")
        scores = folder.arrays(result).get("scores")
        if scores is None:
            continue
        good, defective = np.sort(scores[: result.test_good]), np.sort(scores[result.test_good :])

        def at(limits: NDArray[np.float64], good: Any = good, defective: Any = defective) -> tuple[Any, Any]:
            above = 1 - np.searchsorted(good, limits, "right") / len(good)
            return 100 * above, 100 * np.searchsorted(defective, limits, "right") / len(defective)

        panel.step(*at(np.unique(scores)), where="post", color="tab:blue")
        for limit, marker, label in ((result.review_score, "o", "review"), (result.reject_score, "s", "reject")):
            if limit is not None:
                panel.plot(*at(np.array([limit])), marker, color="black", markersize=5, label=f"{label} limit")
        panel.set_xlim(-1, 30)
        panel.set_ylim(-2, 102)
        panel.set_xlabel("good test images above the limit, %")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="x-small")
    axes[0].set_ylabel("defects that pass, %")
    return figure


def _draw_mistakes(folder: ResultFolder, result: Result) -> Figure | None:
    """Good images that score highest above defective ones that score lowest; None when nothing was kept of them."""
    arrays = folder.arrays(result)
    worst = arrays.get("worst", np.empty(0, np.intp))
    truth = _truth(folder, result.dataset)
    if not len(worst) or not truth:
        return None
    rows = [[p for p in worst if p < result.test_good], [p for p in worst if p >= result.test_good]]
    columns = max(map(len, rows))
    figure = Figure(figsize=(2.6 * columns, 6.2), layout="constrained")
    for row, positions in enumerate(rows):
        for column, position in enumerate(positions):
            panel = figure.add_subplot(2, columns, row * columns + column + 1)
            sample = truth[int(arrays["indices"][position])]
            score = float(arrays["scores"][position])
            name, kind = _drawn(Path(sample["path"]).name), _drawn(sample["defect"] or "good")
            panel.set_title(f"{name}\n{kind}  {score:.3g}", fontsize=7)
            panel.axis("off")
            picture = _overlay(sample, arrays[f"map{position}"].astype(np.float32), result)
            if picture is not None:
                panel.imshow(picture)
    figure.suptitle(
        f"{_drawn(_title(result))}\ngood with the highest scores, defective with the lowest", fontsize="small"
    )
    return figure


@dataclass(frozen=True)
class MistakePicture:
    """A test image that was judged wrongly, for a page."""

    name: str
    kind: str
    plain: NDArray[np.uint8] | None
    """RGB; None: the image is not there any more."""
    heated: NDArray[np.uint8] | None
    """Under its map, with the outline of its defect."""


def mistake_picture(folder: ResultFolder, result: Result, position: int) -> MistakePicture:
    """Of the test image at this position, whose map was kept."""
    arrays, truth = folder.arrays(result), _truth(folder, result.dataset)
    if not truth:
        return MistakePicture(f"image {position}", "defect", None, None)
    sample = truth[int(arrays["indices"][position])]
    path = Path(sample["path"])
    try:
        plain = fitted(read_image(path), PAGE_PX, PAGE_PX)
    except DatasetError:
        plain = None
    heated = _overlay(sample, arrays[f"map{position}"].astype(np.float32), result, PAGE_PX)
    return MistakePicture(path.name, sample["defect"] or "good", plain, heated)


def _overlay(
    sample: dict[str, Any], anomaly_map: NDArray[np.float32], result: Result, side_px: int = MAX_SIDE_PX
) -> NDArray[np.uint8] | None:
    """The image in grey with its map in colour and the outline of its defect; None when it is not there."""
    try:
        image = read_image(Path(sample["path"]))
        mask = read_image(Path(sample["mask"])) if sample["mask"] else None
    except DatasetError:
        return None
    scale = side_px / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    base = cv2.cvtColor(cv2.resize(np.asarray(grey), size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    heat = cv2.resize(anomaly_map, size, interpolation=cv2.INTER_LINEAR)
    # Neither limit nor typical place of the map is among the results: colour begins half-way from this picture's usual
    # place to its hottest. Not from its coldest: beside a defect the shown map falls far below what is ordinary.
    low, high = float(np.median(heat)), max(float(heat.max()), result.reject_score or 0.0)
    mixed = coloured(np.asarray(base, np.uint8), np.asarray((heat - low) / max(high - low, 1e-9), np.float32))
    if mask is not None:
        flat = mask if mask.ndim == 2 else mask.max(axis=2)
        small = cv2.resize((flat > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline(mixed, [np.asarray(points, np.int32) for points in contours])
    return mixed


def _truth(folder: ResultFolder, dataset: str) -> list[dict[str, Any]]:
    path = folder.sets / f"{dataset}.json"
    if not path.is_file():
        return []
    samples: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["samples"]
    return samples


def _drawn(text: str) -> str:
    """Text of others in a picture: a dollar begins no formula there."""
    return one_line(text).replace("$", r"\$")


def _title(result: Result) -> str:
    noise = column_name((result.protocol, result.noise))
    return f"{result.dataset}, {result.detector}, {result.refine}, {noise}, seed {result.seed}"


def _panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Inches each."""
    columns = min(count, MAX_COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.4), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, index + 1) for index in range(count)]
