"""The half-precision graph beside the float32 one on real images: a small share of what
`benchmarks/half_precision.py` measures.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.half_precision import MAX_AUROC_DIFFERENCE, measure
from engines.training.evaluation.layouts import LabelledSet, open_sets
from engines.training.learn import LearnOptions
from engines.training.locate import LocateOptions
from engines.training.teach import TeachOptions, teach
from engines.training.train import TrainOptions

DATASETS = Path(os.environ.get("STATION_DATASETS", Path(__file__).parents[3] / "shared" / "datasets"))
TRAIN, TEST = 24, 6


def share_of(name: str) -> LabelledSet:
    if not (DATASETS / name).is_dir():
        pytest.skip(f"{DATASETS / name} is not there; set STATION_DATASETS")
    (labels,) = open_sets([DATASETS / name])

    def spread(samples: tuple, count: int) -> tuple:  # type: ignore[type-arg]
        return samples[:: len(samples) // count][:count]

    return replace(
        labels,
        train_good=spread(labels.train_good, TRAIN),
        test_good=spread(labels.test_good, TEST),
        test_defective=spread(labels.test_defective, TEST),
    )


@pytest.mark.datasets
@pytest.mark.parametrize("name", ["mvtec_ad/bottle", "kolektorsdd", "magnetic_tile"])
def test_half_precision_ranks_alike_and_changes_no_golden_verdict(name: str, tmp_path: Path) -> None:
    labels = share_of(name)
    images = tmp_path / "images"
    images.mkdir()
    for sample in labels.train_good:
        (images / sample.path.name).symlink_to(sample.path)
    options = TeachOptions(
        threads=1, learning=LearnOptions(training=TrainOptions(steps=0)), location=LocateOptions("none")
    )
    teach(images, tmp_path / "engine", options, lambda _step, _done, _total: None)
    found = measure(labels, tmp_path / "engine", threads=1)
    assert found.auroc_difference < MAX_AUROC_DIFFERENCE
    assert found.changed_golden == 0
    assert found.met
    assert found.max_score_difference > 0
    assert found.good == found.defective == TEST
