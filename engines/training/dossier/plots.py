"""The curves of a dossier, as SVG files with their text as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from engines.scale import LIMIT, ScoreScale
from engines.training.dossier.schema import Dossier

KEPT, REMOVED, LINE = "#3f6f9f", "#d9722b", "#333333"
BINS = 50


def write_plots(folder: Path, dossier: Dossier) -> dict[str, str]:
    """Write the plots that the data supports; returns name -> file name in `folder`."""
    figures: dict[str, Figure] = {}
    style: Any = {
        "font.family": "sans-serif",
        "font.size": 9.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9.0,
        "axes.titlelocation": "left",
        "svg.fonttype": "none",
        "svg.hashsalt": "dossier",  # the same figures give the same file
    }
    with matplotlib.rc_context(style):
        if dossier.refinement.rounds:
            figures["convergence"] = _convergence(dossier)
        if any(image.final_shown is not None for image in dossier.images):
            figures["scores"] = _scores(dossier)
        figures["calibration"] = _calibration(dossier)
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", format="svg", metadata={"Date": None})
    return {name: f"{name}.svg" for name in figures}


def _scores(dossier: Dossier) -> Figure:
    """Before: the first round with a limit. After: the final models over the images that were kept."""
    figure = Figure(figsize=(8.0, 3.6))
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw=_margins(3.6) | {"hspace": 0.3})
    final = {image.id: image.final_shown for image in dossier.images if image.final_shown is not None}
    gone = set(dossier.refinement.removed)
    first = next((entry for entry in dossier.refinement.rounds if entry.limit is not None), None)
    if first is None or first.limit is None or first.median >= first.limit:
        before = final
        upper.set_title("All images, by the final models")
    else:
        scale = ScoreScale(typical=first.median, limit=first.limit)
        before = {image: scale.shown(score) for image, score in zip(first.images, first.scores, strict=True)}
        upper.set_title("Before refinement: all images, first round")
    _histogram(upper, [score for image, score in before.items() if image not in gone], KEPT, "kept in the end")
    _histogram(upper, [score for image, score in before.items() if image in gone], REMOVED, "removed in the end")
    _limit(upper, LIMIT, "limit")
    upper.legend(frameon=False, loc="upper right", bbox_to_anchor=(0.9, 1.0))
    lower.set_title("After refinement: images that were kept, by the final models")
    _histogram(lower, [score for image, score in final.items() if image not in gone], KEPT, "kept")
    _limit(lower, LIMIT, "limit")
    lower.set_xlim(0.0, 1.0)
    lower.set_xlabel("score (0.1: typical image, 0.5: limit of the refinement)")
    return figure


def _convergence(dossier: Dossier) -> Figure:
    rounds = dossier.refinement.rounds
    numbers = [entry.number for entry in rounds]
    figure = Figure(figsize=(8.0, 2.3))
    scores, removed, masked = figure.subplots(1, 3, gridspec_kw=_margins(2.3) | {"wspace": 0.25})
    scores.set_title("Score (raw): median and limit")
    scores.plot(numbers, [entry.median for entry in rounds], "o-", color=KEPT, markersize=4, label="median")
    limited = [(entry.number, entry.limit) for entry in rounds if entry.limit is not None]
    if limited:
        scores.plot(*zip(*limited, strict=True), "s--", color=REMOVED, markersize=4, label="limit")
    scores.legend(frameon=False)
    removed.set_title("Images removed")
    removed.bar(numbers, [len(entry.removed) for entry in rounds], color=REMOVED, width=0.6, label="left")
    if any(entry.returned for entry in rounds):
        removed.bar(numbers, [-len(entry.returned) for entry in rounds], color=KEPT, width=0.6, label="came back")
        removed.legend(frameon=False)
    removed.yaxis.set_major_locator(MaxNLocator(integer=True))
    masked.set_title("Map cells not learned (%)")
    masked.plot(numbers, [100 * entry.masked_share for entry in rounds], "o-", color=KEPT, markersize=4)
    masked.set_ylim(bottom=0.0)
    if not any(entry.removed or entry.returned for entry in rounds):
        removed.set_ylim(0.0, 1.0)
    if all(entry.masked_share == 0 for entry in rounds):
        masked.set_ylim(0.0, 1.0)
    for axes in (scores, removed, masked):
        axes.set_xlim(0.5, len(rounds) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("round")
    return figure


def _calibration(dossier: Dossier) -> Figure:
    figure = Figure(figsize=(8.0, 2.3))
    axes = figure.subplots(gridspec_kw=_margins(2.3))
    scores = [image.held_out_shown for image in dossier.images if image.held_out_shown is not None]
    _histogram(axes, scores, KEPT, "held out")
    _limit(axes, dossier.calibration.scale.shown(dossier.calibration.review_score), "review")
    _limit(axes, LIMIT, "reject")
    axes.set_xlim(0.0, 1.0)
    axes.set_title("Good images, each scored by a model that did not see it")
    axes.set_xlabel("score as shown on the line (0.1: typical good part, 0.5: reject limit)")
    return figure


def _margins(height: float) -> dict[str, float]:
    """Around the axes of a figure 8 inches wide and this high: a layout made for each figure draws it twice."""
    return {"left": 0.075, "right": 0.985, "bottom": 0.48 / height, "top": 1 - 0.27 / height}


def _histogram(axes: Axes, scores: Sequence[float], colour: str, label: str) -> None:
    edges = np.linspace(0.0, 1.0, BINS + 1)
    axes.hist(scores, bins=edges.tolist(), histtype="stepfilled", color=colour, label=label, alpha=0.8)
    axes.set_yscale("symlog", linthresh=1.0)  # a single image far out must be seen beside a thousand others
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("images (log)")


def _limit(axes: Axes, value: float, label: str) -> None:
    axes.axvline(value, color=LINE, linewidth=1.0, linestyle="--")
    axes.annotate(
        label, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -9), textcoords="offset points", color=LINE
    )
