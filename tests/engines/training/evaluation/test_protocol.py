"""What contamination must never do: test what was learned, or change the test with the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import TrainingError
from engines.training.evaluation.layouts import LabelledSet, Sample
from engines.training.evaluation.protocol import contaminated_split, resplit, standard_split, training_counts

NOISES = (0, 10, 20, 30, 40, 50)


def a_set(train: int, good: int, kinds: list[int], own_dirt: int = 0) -> LabelledSet:
    """`kinds`: number of defective test images of each type."""

    def samples(part: str, count: int, defect: str = "") -> tuple[Sample, ...]:
        return tuple(Sample(Path(f"{part}-{defect}-{index}.png"), defect) for index in range(count))

    defective = tuple(sample for kind, count in enumerate(kinds) for sample in samples("test", count, f"kind{kind}"))
    return LabelledSet(
        *("set", Path("set"), "made up", samples("train", train)),
        *(samples("train", own_dirt, "kind0"), samples("test", good), defective),
    )


sets = st.builds(
    a_set,
    train=st.integers(20, 200),
    good=st.integers(1, 30),
    kinds=st.lists(st.integers(2, 40), min_size=1, max_size=4),
    own_dirt=st.sampled_from((0, 0, 25)),
)


@settings(deadline=None)
@given(data=sets, noise=st.sampled_from(NOISES), seed=st.integers(0, 5))
def test_nothing_tested_is_learned_and_the_test_is_the_same_at_every_noise(
    data: LabelledSet, noise: int, seed: int
) -> None:
    split = contaminated_split(data, noise, seed)
    clean = contaminated_split(data, 0, seed)
    assert not set(split.train) & set(split.test)
    assert len(set(split.train)) == len(split.train)
    np.testing.assert_array_equal(split.test, clean.test)
    assert len(clean.oracle_train) == len(clean.train) == len(data.train_good)
    samples = data.samples
    assert [bool(samples[index].defect) for index in split.train] == split.train_is_dirty.tolist()
    assert not any(samples[index].defect for index in (*split.oracle_train, *split.test_good))
    assert all(samples[index].defect for index in split.test_defective)
    assert len(split.test_good) == len(data.test_good)
    np.testing.assert_array_equal(contaminated_split(data, noise, seed).train, split.train)


@given(data=sets, images_a_part=st.integers(1, 6), seed=st.integers(0, 5))
def test_a_split_by_part_leaves_no_part_on_both_sides(data: LabelledSet, images_a_part: int, seed: int) -> None:
    good = [index for index, sample in enumerate(data.samples) if not sample.defect]
    parts = np.arange(len(good)) // images_a_part
    part_of = dict(zip(good, parts.tolist(), strict=True))
    by_part, at_random = resplit(data, seed, parts), resplit(data, seed)
    assert not {part_of[index] for index in by_part.train} & {part_of[index] for index in by_part.test_good}
    assert len(at_random.test_good) == len(data.test_good)
    assert 0 <= len(by_part.test_good) - len(data.test_good) < images_a_part
    for split in (by_part, at_random):
        assert sorted([*split.train, *split.test_good]) == good
        assert not split.train_is_dirty.any()
        np.testing.assert_array_equal(split.test_defective, standard_split(data).test_defective)


def test_one_part_alone_is_not_split() -> None:
    data = a_set(20, 5, [3])
    with pytest.raises(TrainingError, match="look like one part"):
        resplit(data, 0, np.zeros(25, np.intp))


@given(data=sets, seed=st.integers(0, 5))
def test_half_of_each_defect_type_is_dirt(data: LabelledSet, seed: int) -> None:
    split = contaminated_split(data, 0, seed)
    defects = [sample.defect for sample in data.samples]
    tested = [defects[index] for index in split.test_defective]
    if data.train_defective:
        assert len(tested) == len(data.test_defective)
        return
    for kind in {sample.defect for sample in data.test_defective}:
        total = sum(sample.defect == kind for sample in data.test_defective)
        assert abs(tested.count(kind) - total / 2) <= 0.5
    assert len(tested) == -(-len(data.test_defective) // 2)


@given(good=st.integers(20, 3000), dirt=st.integers(1, 500), noise=st.sampled_from(NOISES))
def test_the_share_is_right_and_as_many_as_possible_are_kept(good: int, dirt: int, noise: int) -> None:
    learned, mixed = training_counts(good, dirt, noise)
    assert 0 < learned <= good
    assert mixed <= dirt
    assert learned == good or mixed == dirt
    assert abs(mixed - noise / 100 * (learned + mixed)) <= 0.5 + 1e-9


@given(data=sets, seed=st.integers(0, 3))
def test_more_noise_keeps_the_dirt_of_less_when_good_images_are_not_scarce(data: LabelledSet, seed: int) -> None:
    previous: set[int] = set()
    for noise in NOISES:
        split = contaminated_split(data, noise, seed)
        dirt = set(split.train[split.train_is_dirty].tolist())
        assert previous <= dirt
        previous = dirt


def test_dirt_lies_among_the_good_images_in_their_order() -> None:
    split = contaminated_split(a_set(100, 5, [60]), 20, seed=1)
    assert np.count_nonzero(split.train_is_dirty) == 25
    good = split.oracle_train
    assert (np.diff(good) > 0).all()
    first_half = split.train_is_dirty[: len(split.train) // 2]
    assert 5 <= np.count_nonzero(first_half) <= 20


def test_dirt_holds_the_defect_types_in_proportion() -> None:
    data = a_set(90, 5, [80, 40, 20])
    split = contaminated_split(data, 10, seed=0)
    kinds = [data.samples[index].defect for index in split.train[split.train_is_dirty]]
    assert [kinds.count(f"kind{kind}") for kind in range(3)] == [6, 3, 1]


def test_seeds_differ() -> None:
    data = a_set(60, 5, [30, 30])
    assert (
        contaminated_split(data, 20, 0).test_defective.tolist()
        != contaminated_split(data, 20, 1).test_defective.tolist()
    )


def test_own_dirt_leaves_the_whole_test_set() -> None:
    data = a_set(100, 10, [20], own_dirt=30)
    split = contaminated_split(data, 20, 0)
    assert len(split.test) == 30
    assert np.count_nonzero(split.train_is_dirty) == 25
    assert {data.samples[i].path.name[:5] for i in split.train} == {"train"}


def test_the_standard_split_is_that_of_the_set() -> None:
    split = standard_split(a_set(50, 10, [7, 8], own_dirt=3))
    assert (len(split.train), len(split.test_good), len(split.test_defective)) == (50, 10, 15)
    assert not split.train_is_dirty.any()


def test_impossible_contamination_is_said() -> None:
    with pytest.raises(TrainingError, match="at least 2"):
        contaminated_split(a_set(50, 10, [1]), 10, 0)
    with pytest.raises(TrainingError, match="0 to 90"):
        contaminated_split(a_set(50, 10, [9]), 95, 0)
