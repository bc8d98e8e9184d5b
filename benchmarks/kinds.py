"""How often the suggested kind of a defect is right: on data sets whose defects have kinds, with few labels of each.

    python -m benchmarks.kinds DIR... [--labels 1,2,5,10] [--draws 20] [--cache DIR] [--json FILE]

Per set the detector learns the good training images once, without labels. Then, per draw, some images of each kind are
labelled, where it has more than that, and `fit_kinds` does what teaching does. All other defective images are tested,
without twins of labelled ones. "nearest" is the share of those that are likest to their own kind; "right", "wrong" and
"unknown" count with the limit of likeness that teaching sets. For "strangers" one kind after the other is not labelled:
the share of its images that are unknown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.kinds import UNKNOWN_KIND
from engines.training.evaluation.layouts import open_sets
from engines.training.evaluation.prepare import open_images, prepare
from engines.training.evaluation.protocol import standard_split
from engines.training.fitting.crossfit import cross_fit
from engines.training.fitting.train import CLOSED_FORM, train
from engines.training.images.grouping import twin_groups
from engines.training.kinds.fit import Examples, FoundKinds, fit_kinds
from engines.training.known_defects.cells import Cells
from engines.training.known_defects.kinds import looks_of


class Defects:
    """What the defective test images of a set look like, and their kinds."""

    def __init__(self, looks: NDArray[np.float64], names: NDArray[np.str_], groups: NDArray[np.intp]) -> None:
        self.looks, self.names, self.groups = looks, names, groups

    def fitted(self, chosen: NDArray[np.intp]) -> FoundKinds:
        """As if these were labelled."""
        names = tuple(self.names[chosen].tolist())
        return fit_kinds(Examples(self.looks[chosen], names, self.groups[chosen], chosen))

    def said(self, found: FoundKinds, images: NDArray[np.intp]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
        """Of these images the likest kind, and the same or unknown."""
        likeness = found.likeness(self.looks[images])
        nearest = np.array(found.record.names)[likeness.argmax(axis=1)]
        return nearest, np.array([found.record.name_of(row) for row in likeness.tolist()])

    def draw(self, rng: np.random.Generator, kinds: Sequence[str], count: int) -> NDArray[np.intp]:
        """So many images of each of these kinds."""
        return np.concatenate([rng.choice(np.flatnonzero(self.names == kind), count, replace=False) for kind in kinds])


def defects_of(folder: Path, cache: Path) -> tuple[str, Defects]:
    """The name of a set, and its defects as the maps of its detector show them."""
    (labels,) = open_sets([folder])
    prepared = prepare(open_images(labels, lambda: None), "spatial", "lite0", cache, lambda _done, _total: None)
    split, detector, features = standard_split(labels), prepared.detector, prepared.features
    held_out = cross_fit(detector, features, split.train, CLOSED_FORM)
    train(detector, features, split.train, CLOSED_FORM)
    cells = Cells(detector, features, split.train, held_out, weights=None)
    names = np.array([labels.samples[index].defect for index in split.test_defective])
    return labels.name, Defects(
        looks_of(cells, split.test_defective), names, twin_groups(features, split.test_defective)
    )


def measure(name: str, defects: Defects, count: int, draws: int) -> dict[str, Any]:
    """Means over the draws, with `count` labels a kind."""
    kinds = [str(kind) for kind in np.unique(defects.names) if np.count_nonzero(defects.names == kind) > count]
    rows: list[tuple[float, ...]] = []
    strangers: list[float] = []
    for draw in range(draws):
        rng = np.random.default_rng([count, draw])
        chosen = defects.draw(rng, kinds, count)
        tested = np.flatnonzero(np.isin(defects.names, kinds) & ~np.isin(defects.groups, defects.groups[chosen]))
        nearest, said = defects.said(defects.fitted(chosen), tested)
        truth = defects.names[tested]
        unknown = said == UNKNOWN_KIND
        rows.append(
            tuple(map(float, (np.mean(nearest == truth), np.mean(said == truth),
                              np.mean(~unknown & (said != truth)), np.mean(unknown))))
        )  # fmt: skip
        if len(kinds) > 2:
            for stranger in kinds:
                known = chosen[defects.names[chosen] != stranger]
                of_it = np.flatnonzero(defects.names == stranger)
                strangers.append(float(np.mean(defects.said(defects.fitted(known), of_it)[1] == UNKNOWN_KIND)))
    means = dict(zip(("nearest", "right", "wrong", "unknown"), np.mean(rows, axis=0).round(3).tolist(), strict=True))
    found = round(float(np.mean(strangers)), 3) if strangers else None
    return {"set": name, "kinds": len(kinds), "labels_each": count, "draws": draws, **means, "strangers": found}


def main() -> None:
    """Prints a row of JSON for each set and number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--labels", type=lambda text: [int(each) for each in text.split(",")], default=[1, 2, 5, 10])
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for folder in options.sets:
            name, defects = defects_of(folder, options.cache or Path(temporary))
            for count in options.labels:
                rows.append(measure(name, defects, count, options.draws))
                print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
