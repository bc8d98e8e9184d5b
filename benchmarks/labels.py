"""What labelled defects are worth: the head for known defects on data sets with known truth.

    python benchmarks/labels.py DIR... [--labels 1,5,10,20] [--draws 20] [--no-masks] [--cache DIR] [--json FILE]

Per set the detector learns the good training images once, as teaching does. Then, per draw, some of the defective test
images are labelled, and `join_known_defects` does what teaching does with `--known-bad`. All other test images are
tested, without those that are twins of a labelled one: the same detector without and with the labels on the same ones.

Means over the draws: AUROC, the share of defects at or below the 99 % and 95 % quantile of the good test images
(ranking), the share that passes at the calibrated review limit, good images above it, and the weights that were chosen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.training.calibration.calibrate import calibrate
from engines.training.evaluation.layouts import open_sets
from engines.training.evaluation.metrics import auroc, escapes_by_ranking
from engines.training.evaluation.prepare import LocatedSet, Prepared, open_images, prepare
from engines.training.evaluation.protocol import standard_split
from engines.training.fitting.train import score
from engines.training.images.grouping import twin_groups
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.join import join_known_defects
from engines.training.known_defects.masks import DefectCells, read_masks
from engines.training.learn import LearnOptions, learn

BUDGETS = 0.01, 0.1
FIGURES = ("auroc", "ranked_1", "ranked_5", "passed", "good_above")


def figures(good: NDArray[np.float64], bad: NDArray[np.float64], review_score: float) -> dict[str, float]:
    """Of test images, at this review limit."""
    return {
        "auroc": auroc(good, bad),
        "ranked_1": escapes_by_ranking(good, bad, 0.01),
        "ranked_5": escapes_by_ranking(good, bad, 0.05),
        "passed": float(np.mean(bad <= review_score)),
        "good_above": float(np.mean(good > review_score)),
    }


def masks_of(data: LocatedSet, prepared: Prepared, folder: Path) -> DefectCells:
    """The masks of a data set, as teaching reads them beside the images."""
    found = {}
    for index, sample in enumerate(data.labels.samples):
        if sample.mask is not None:
            beside = folder / f"{index}.png"
            (folder / f"{index}_mask.png").symlink_to(sample.mask.resolve())
            beside.symlink_to(sample.path.resolve())
            found[index] = replace(data.files[index], path=beside)
    return read_masks(found, data.spec, data.location, prepared.detector.map_size)


def measure(folder: Path, options: argparse.Namespace, cache: Path) -> list[dict[str, Any]]:
    """One row for each number of labels."""
    (labels,) = open_sets([folder])
    data = open_images(labels, lambda: None)
    if not data.is_located.all():
        raise SystemExit(f"{labels.name}: the part is not found in some images; this benchmark needs all of them")
    prepared = prepare(data, "spatial", "lite0", cache, lambda _done, _total: None)
    split, detector, features = standard_split(labels), prepared.detector, prepared.features
    learned = learn(detector, features, split.train, LearnOptions())
    kept = split.train[learned.refinement.kept]
    weights = None
    if learned.refinement.weights is not None:
        weights = np.ones((len(data.files), *detector.map_size), np.uint8)
        weights[split.train] = learned.refinement.weights
    with tempfile.TemporaryDirectory() as beside:
        masks = {} if options.no_masks else masks_of(data, prepared, Path(beside))
    before, _ = score(detector, features, split.test)
    groups = twin_groups(features, np.concatenate([kept, split.test]))[len(kept) :]
    is_bad = np.isin(split.test, split.test_defective)
    rows = []
    for count in options.labels:
        found: list[dict[str, Any]] = []
        for draw in range(options.draws):
            chosen = np.random.default_rng([count, draw]).choice(np.flatnonzero(is_bad), count, replace=False)
            tested = ~np.isin(groups, groups[chosen])
            labelled = LabelledImages(split.test[chosen], masks)
            joined = join_known_defects(detector, features, kept, learned.held_out, labelled, weights=weights)
            order = np.argsort(learned.held_out.groups, kind="stable")
            order = order[joined.usable[order]]
            limits = [
                calibrate(held_out.image_scores[order], held_out.map_peaks[order], *BUDGETS).review_score
                for held_out in (learned.held_out, joined.held_out)
            ]
            detector.known_defects = joined.head
            after, _ = score(detector, features, split.test)
            detector.known_defects = None
            good, bad = tested & ~is_bad, tested & is_bad
            found.append(
                {
                    "weight": joined.weight,
                    "before": figures(before[good], before[bad], limits[0]),
                    "after": figures(after[good], after[bad], limits[1]),
                }
            )
        means = {
            when: {figure: round(float(np.mean([row[when][figure] for row in found])), 4) for figure in FIGURES}
            for when in ("before", "after")
        }
        worst = min(row["after"]["auroc"] - row["before"]["auroc"] for row in found)
        rows.append(
            {
                "set": labels.name, "labels": count, "draws": options.draws, "masks": bool(masks), **means,
                "worst_auroc_change": round(worst, 4), "weights": [row["weight"] for row in found],
            }
        )  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Measures and prints a row of JSON for each set and number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--labels", type=lambda text: [int(each) for each in text.split(",")], default=[1, 5, 10, 20])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--no-masks", action="store_true")
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = [row for folder in options.sets for row in measure(folder, options, options.cache or Path(temporary))]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
