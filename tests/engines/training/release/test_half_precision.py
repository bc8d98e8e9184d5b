"""The graphs in half precision and in 8 bits beside the float32 one on real images: a small share of what
`benchmarks/half_precision.py` measures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.half_precision import MAX_AUROC_DIFFERENCE, measure
from engines.bundle.reading import read_bundle
from engines.parity_report import INT8
from engines.training.evaluation.layouts import LabelledSet, open_sets
from engines.training.fitting.train import TrainOptions
from engines.training.learn import LearnOptions
from engines.training.location.locate import LocateOptions
from engines.training.refinement.records import RefineOptions
from engines.training.teach import TeachOptions, teach
from tests.bench.places import DATASETS, missing_set

pytestmark = pytest.mark.system

TRAIN, TEST = 24, 6
TRAIN_FOR_8_BITS = 60


def share_of(name: str, train: int) -> LabelledSet:
    if not (DATASETS / name).is_dir():
        pytest.skip(missing_set(DATASETS / name))
    (labels,) = open_sets([DATASETS / name])

    def spread(samples: tuple, count: int) -> tuple:  # type: ignore[type-arg]
        return samples[:: len(samples) // count][:count]

    return replace(
        labels,
        train_good=spread(labels.train_good, train),
        test_good=spread(labels.test_good, TEST),
        test_defective=spread(labels.test_defective, TEST),
    )


def taught(labels: LabelledSet, folder: Path, *, int8: bool) -> Path:
    images = folder / "images"
    images.mkdir()
    for sample in labels.train_good:
        (images / sample.path.name).symlink_to(sample.path)
    options = TeachOptions(
        threads=1,
        learning=LearnOptions(refinement=RefineOptions("none"), training=TrainOptions(steps=0)),
        location=LocateOptions("none"),
        int8=int8,
    )
    teach(images, folder / "engine", options, lambda _step, _done, _total: None)
    return folder / "engine"


@pytest.mark.datasets
@pytest.mark.parametrize("name", ["mvtec_ad/bottle", "kolektorsdd", "magnetic_tile"])
def test_half_precision_ranks_alike_and_changes_no_golden_verdict(name: str, tmp_path: Path) -> None:
    labels = share_of(name, TRAIN)
    found = measure(labels, taught(labels, tmp_path, int8=False), "fp16", threads=1)
    assert found.auroc_difference < MAX_AUROC_DIFFERENCE
    assert found.changed_golden == 0
    assert found.met
    assert found.max_score_difference > 0
    assert found.good == found.defective == TEST


@pytest.mark.datasets
def test_8_bits_pass_their_gate_on_real_images(tmp_path: Path) -> None:
    labels = share_of("mvtec_ad/bottle", TRAIN_FOR_8_BITS)
    engine = taught(labels, tmp_path, int8=True)
    assert "int8" in read_bundle(engine).variants
    found = measure(labels, engine, "int8", threads=1)
    assert found.met
    assert 0 < found.max_score_share < INT8.score_share
