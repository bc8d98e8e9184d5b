"""What labelled defects are worth: the head for known defects on data sets with known truth.

    python benchmarks/labels.py DIR... [--labels 1,5,10,20] [--draws 20] [--no-masks] [--cache DIR] [--json FILE]

Per set the detector learns the good training images once, as teaching does. Then, per draw, some of the defective test
images are labelled, and `join_known_defects` does what teaching does with `--known-bad`. All other test images are
tested, without those that are twins of a labelled one: the same detector without and with the labels on the same ones.
Whitened cells are made once a set and kept in memory in half precision, so a draw takes seconds.

Means over the draws: AUROC, the share of defects at or below the 99 % and 95 % quantile of the good test images
(ranking), the share that passes at the calibrated review limit, good images above it, and the weights that were chosen.
FILE is written after every row; others that it has are kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.detectors.known_defects import KnownDefects
from engines.training.calibration.calibrate import calibrate
from engines.training.evaluation.layouts import open_sets
from engines.training.evaluation.metrics import auroc, escapes_by_ranking
from engines.training.evaluation.prepare import LocatedSet, Prepared, open_images, prepare
from engines.training.evaluation.protocol import standard_split
from engines.training.fitting.train import SCORE_BATCH
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.heads import LabelledImages
from engines.training.known_defects.join import image_scores_of, join_known_defects
from engines.training.known_defects.masks import DefectCells, read_masks
from engines.training.learn import LearnOptions, learn
from engines.training.refinement.records import Indices

BUDGETS = 0.01, 0.1
FIGURES = ("auroc", "ranked_1", "ranked_5", "passed", "good_above")


class CellsInMemory(Cells):
    """Makes the cells of the kept and of all tested images once. Which are twins is decided among all of these."""

    def prepare(self, tested: Indices) -> None:
        """Takes some hundred megabytes a set."""
        self._position = {int(index): row for row, index in enumerate(tested)}
        self._scored = super().score_others(tested)
        self._groups = super().twin_groups(tested)
        self._of_good = [
            torch.cat([z.half() for z in super(CellsInMemory, self).of_good(fold)])
            for fold in range(self.held_out.folds)
        ]
        self._of_others = torch.cat([z.half() for z in super().of_others(tested)])

    def rows(self, images: Indices) -> Indices:
        """Where tested images lie."""
        return np.array([self._position[int(index)] for index in images], np.intp)

    def of_good(self, fold: int, usable: NDArray[np.bool_] | None = None) -> Iterator[Tensor]:
        kept = self._of_good[fold]
        return _batches(kept if usable is None else kept[torch.from_numpy(usable[self.folds == fold])])

    def of_others(self, images: Indices) -> Iterator[Tensor]:
        return _batches(self._of_others[torch.from_numpy(self.rows(images))])

    def score_others(self, images: Indices) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        rows = self.rows(images)
        return self._scored[0][rows], self._scored[1][rows]

    def twin_groups(self, others: Indices) -> NDArray[np.intp]:
        count = len(self.kept)
        return np.concatenate([self._groups[:count], self._groups[count:][self.rows(others)]])


def _batches(cells: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(cells), SCORE_BATCH):
        yield cells[start : start + SCORE_BATCH].float()


def joined_scores(cells: Cells, head: KnownDefects | None, images: Indices) -> NDArray[np.float64]:
    """What the exported graph says of tested images."""
    scores, maps = cells.score_others(images)
    rule = cells.detector.map_score
    if head is None or rule is None:
        return scores
    with torch.inference_mode():
        found = [
            head(torch.from_numpy(maps[start * SCORE_BATCH : (start + 1) * SCORE_BATCH]), z).numpy()
            for start, z in enumerate(cells.of_others(images))
        ]
    return image_scores_of(np.concatenate(found), rule)


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


def measure(folder: Path, options: argparse.Namespace, cache: Path) -> None:
    """Prints, and keeps, one row for each number of labels."""
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
    cells = CellsInMemory(detector, features, kept, learned.held_out, weights=weights)
    cells.prepare(split.test)
    before, _ = cells.score_others(split.test)
    groups = cells.twin_groups(split.test)[len(kept) :]
    is_bad = np.isin(split.test, split.test_defective)
    for count in options.labels:
        found: list[dict[str, Any]] = []
        for draw in range(options.draws):
            chosen = np.random.default_rng([count, draw]).choice(np.flatnonzero(is_bad), count, replace=False)
            tested = ~np.isin(groups, groups[chosen])
            joined = join_known_defects(cells, LabelledImages(split.test[chosen], masks))
            order = np.argsort(learned.held_out.groups, kind="stable")
            order = order[joined.usable[order]]
            limits = [
                calibrate(held_out.image_scores[order], held_out.map_peaks[order], *BUDGETS).review_score
                for held_out in (learned.held_out, joined.held_out)
            ]
            after = joined_scores(cells, joined.head, split.test)
            good, bad = tested & ~is_bad, tested & is_bad
            found.append(
                {
                    "weight": joined.weight,
                    "before": figures(before[good], before[bad], limits[0]),
                    "after": figures(after[good], after[bad], limits[1]),
                }
            )
        means = {
            when: {figure: round(float(np.mean([each[when][figure] for each in found])), 4) for figure in FIGURES}
            for when in ("before", "after")
        }
        changes = [round(each["after"]["auroc"] - each["before"]["auroc"], 4) for each in found]
        row = {
            "set": labels.name, "labels": count, "draws": options.draws, "masks": bool(masks), **means,
            "worst_auroc_change": min(changes), "auroc_changes": changes,
            "weights": [each["weight"] for each in found],
        }  # fmt: skip
        print(json.dumps(row), flush=True)
        if options.json:
            keep(options.json, row)


def keep(file: Path, row: dict[str, Any]) -> None:
    """Adds the row to those of the file, in place of the one of the same set, number of labels and kind of labels."""
    key = "set", "labels", "masks"
    rows = json.loads(file.read_text("utf-8")) if file.is_file() else []
    others = [each for each in rows if any(each[name] != row[name] for name in key)]
    file.write_text(json.dumps([*others, row], indent=1) + "\n", "utf-8")


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
        for folder in options.sets:
            measure(folder, options, options.cache or Path(temporary))


if __name__ == "__main__":
    main()
