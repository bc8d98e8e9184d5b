"""Blocks on disk and in a teaching: with blocks it makes what one from scratch makes of the same images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration
from engines.errors import TrainingError
from engines.training.blocks.block import SUFFIX, Block, read_block, write_block
from engines.training.blocks.earlier import Earlier, Weighed
from engines.training.blocks.kept import LIST, free_name, names_in, read_blocks, write_blocks
from engines.training.calibration.calibrate import calibrate
from engines.training.fitting.crossfit import FOLDS_OF_FEW, fold_of, folds_for
from engines.training.fitting.train import CLOSED_FORM, score, train
from engines.training.learn import Learned, LearnOptions, learn
from engines.training.refinement.records import RefineOptions
from tests.bench.engines.cell_detectors import CellDetector, ShiftDetector, cached, cells, dirty_cells

KEY = "k" * 64


def taught(
    values: NDArray[np.float32], blocks: Sequence[Weighed] = (), method: str = "auto"
) -> tuple[CellDetector, Learned]:
    detector = CellDetector()
    options = LearnOptions(RefineOptions(method), CLOSED_FORM, false_reject_budget=0.05)
    return detector, learn(detector, cached(values), np.arange(len(values)), options, blocks=blocks)


def block_of(values: NDArray[np.float32], name: str, method: str = "auto") -> Block:
    _, learned = taught(values, method=method)
    assert learned.mine is not None
    block = learned.mine.block(
        cached(values),
        None if learned.refinement.weights is None else learned.refinement.weights[learned.refinement.kept],
        [f"{name}{index}" for index in range(len(values))],
        name=name,
        key=KEY,
        created="2026-11-30T00:00:00Z",
    )
    assert block is not None
    return block


def some(seed: int, count: int = 60, shift: float = 0.0) -> NDArray[np.float32]:
    """Values that half precision keeps as they are."""
    rng = np.random.default_rng(seed)
    values: NDArray[np.float32] = (cells(count) + rng.normal(0, 0.2, (count, *cells(1).shape[1:])) + shift).astype(
        np.float16
    )
    return values.astype(np.float32)


def limits(calibration: Calibration) -> NDArray[np.float64]:
    return np.array([calibration.reject_score, calibration.review_score, calibration.pixel_score])


def same_model(first: CellDetector, second: CellDetector) -> bool:
    return np.allclose(first.whitening.mean, second.whitening.mean, atol=1e-6) and np.allclose(
        first.whitening.whitening, second.whitening.whitening, atol=1e-6
    )


def from_scratch(blocks: Sequence[Weighed]) -> tuple[CellDetector, Calibration]:
    """The slow way: one model for each fold from all images that are not in it, no sum is kept."""
    learned = sum(one.block.learned for one in blocks)
    folds = folds_for(learned)
    features = cached(np.concatenate([one.block.features["cells"][: one.block.learned] for one in blocks]))
    place = np.concatenate([fold_of(one.block.groups, folds) for one in blocks])
    detector = CellDetector()
    scores, peaks = np.empty(learned), np.empty(learned)
    for fold in range(folds):
        train(detector, features, np.flatnonzero(place != fold), CLOSED_FORM)
        found, maps = score(detector, features, np.flatnonzero(place == fold))
        scores[place == fold], peaks[place == fold] = found, maps.max(axis=(1, 2))
    train(detector, features, np.arange(learned), CLOSED_FORM)
    return detector, calibrate(scores, peaks, 0.05)


def test_adding_and_removing_a_block_is_teaching_with_and_without_it() -> None:
    """A and B are blocks on disk, C is taught now; each set of them against the slow way, and in another order."""
    values = {name: some(number, shift=0.3 * number) for number, name in enumerate("ABC")}
    blocks = {name: block_of(each, name, "none") for name, each in values.items()}
    for earlier in ("A", "B", "AB", "BA"):
        detector, learned = taught(values["C"], [Weighed(blocks[name]) for name in earlier], "none")
        slow, expected = from_scratch([Weighed(blocks[name]) for name in (*earlier, "C")])
        assert same_model(detector, slow)
        assert np.allclose(limits(learned.calibration), limits(expected), atol=1e-6)
        assert learned.calibration.holdout_count == 60 * (len(earlier) + 1)
        assert not learned.couplings_used


def test_a_block_alone_is_the_teaching_that_made_it() -> None:
    """Dirt, masked cells and what was set aside count as they did."""
    values = np.asarray(dirty_cells(60, np.array([4, 17, 51]))["cells"], np.float32)
    values = values.astype(np.float16).astype(np.float32)
    detector, learned = taught(values)
    block = block_of(values, "A")
    earlier = Earlier(detector, [Weighed(block)], FOLDS_OF_FEW)
    models = []
    for fold in range(FOLDS_OF_FEW):
        model = CellDetector()
        model.initialise_from(earlier.seen_by(fold))
        models.append(model)
    again = CellDetector()
    again.initialise_from(earlier.total)
    assert same_model(again, detector)
    sample = earlier.sample(models, again)
    calibration = calibrate(sample.scores, sample.peaks, 0.05, is_dirty=earlier.is_dirty)
    assert np.allclose(limits(calibration), limits(learned.calibration), atol=1e-6)
    assert len(earlier.parts) == len(sample.scores) == learned.calibration.holdout_count


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 1.0))
def test_a_block_that_is_weighed_down_counts_whole_in_the_limits(seed: int, weight: float) -> None:
    first, new = block_of(some(seed), "A", "none"), some(seed + 1, shift=0.5)
    detector, learned = taught(new, [Weighed(first, weight)], "none")
    expected = CellDetector()
    everything = cached(np.concatenate([first.features["cells"], new]))
    weights = np.concatenate([np.full((60, 4, 6), weight), np.ones((60, 4, 6))]).astype(np.float64)
    train(expected, everything, np.arange(120), CLOSED_FORM, weights)  # type: ignore[arg-type]
    assert same_model(detector, expected)
    assert learned.calibration.holdout_count == 120


def test_what_is_refined_of_a_block_depends_on_no_other() -> None:
    values = np.asarray(dirty_cells(60, np.array([4, 17, 51]))["cells"], np.float32)
    alone = block_of(values, "A")
    _, beside = taught(values, [Weighed(block_of(some(5), "B"))])
    assert beside.mine is not None
    assert beside.mine.kept.tolist() == [int(image[1:]) for image in alone.images[: alone.learned]]


def test_weights_and_detectors_that_mean_nothing_are_refused() -> None:
    block = block_of(some(1), "A", "none")
    for weight in (0.0, -0.1, 1.1, float("nan")):
        with pytest.raises(TrainingError, match="above 0 and at most 1"):
            Weighed(block, weight)
    with pytest.raises(TrainingError, match="no closed form of sums"):
        Earlier(ShiftDetector(), [Weighed(block)], 4)


def test_a_block_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / f"A{SUFFIX}"
    values = np.asarray(dirty_cells(60, np.array([4, 17, 51]))["cells"], np.float32)
    block = block_of(values, "A")
    write_block(file, block)
    found = read_block(file)
    assert (found.name, found.images, found.is_dirty) == (block.name, block.images, block.is_dirty)
    for name in ("groups", "parts", "counts"):
        assert np.array_equal(getattr(found, name), getattr(block, name))
    assert np.array_equal(found.features["cells"], block.features["cells"])


@pytest.mark.parametrize("what", ["cut", "byte", "empty", "pickle", "shape", "nan"])
def test_a_damaged_block_is_refused(tmp_path: Path, what: str) -> None:
    file = tmp_path / f"A{SUFFIX}"
    block = block_of(some(1), "A", "none")
    if what == "shape":
        block = replace(block, counts=block.counts[:-1])
    if what == "nan":
        block = replace(block, features={"cells": np.full_like(block.features["cells"], np.nan)})
    write_block(file, block)
    data = file.read_bytes()
    match what:
        case "cut":
            file.write_bytes(data[: len(data) // 2])
        case "byte":
            at = data.index(block.features["cells"].tobytes()[:64])
            file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        case "empty":
            file.write_bytes(b"")
        case "pickle":
            np.savez(file.with_suffix(""), header=np.array([{"format": 1}], object))
            assert file.is_file()
    with pytest.raises(TrainingError, match="cannot be used"):
        read_block(file)


def test_the_folder_of_an_engine_holds_its_blocks_and_those_before(tmp_path: Path) -> None:
    first, second = block_of(some(1), "A", "none"), block_of(some(2), "B", "none")
    write_blocks(tmp_path / "one", first, [], None)
    earlier = read_blocks(tmp_path / "one", KEY, weights={"A": 0.5})
    assert [(one.block.name, one.weight) for one in earlier] == [("A", 0.5)]
    write_blocks(tmp_path / "two", second, earlier, tmp_path / "one")
    assert names_in(tmp_path / "two") == ["A", "B"]
    both = read_blocks(tmp_path / "two", KEY)
    assert [(one.block.name, one.weight) for one in both] == [("A", 0.5), ("B", 1.0)]
    assert [one.block.name for one in read_blocks(tmp_path / "two", KEY, left_out=["A"])] == ["B"]
    with pytest.raises(TrainingError, match='"C" is not in'):
        read_blocks(tmp_path / "two", KEY, left_out=["C"])
    with pytest.raises(TrainingError, match="another backbone, input or place"):
        read_blocks(tmp_path / "two", "other")


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 2, "blocks": []}', '{"format": 1, "blocks": [{"name": "../A", "weight": 1}]}',
     '{"format": 1, "blocks": [{"name": "A", "weight": 0}]}', '{"format": 1, "blocks": [], "more": 1}'],
)  # fmt: skip
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / LIST).write_text(content)
    with pytest.raises(TrainingError, match="cannot be read"):
        names_in(tmp_path)


def test_too_many_images_leave_no_block() -> None:
    _, learned = taught(some(1), method="none")
    assert learned.mine is not None
    many: Any = replace(learned.mine, kept=np.zeros(1001, np.intp))
    assert many.block(cached(some(1)), None, [], name="A", key=KEY, created="") is None


def test_a_name_is_free_and_fit_for_a_file() -> None:
    assert free_name("2026-11-30 to / 12", []) == "2026-11-30-to---12"
    assert free_name("A", ["A", "A-2"]) == "A-3"
    assert free_name("../", []) == "block"
    assert json.dumps(free_name("ä", []))
