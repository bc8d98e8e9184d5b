"""Kinds of defects from what labelled images look like: named, unknown, and as if each had really been left out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.bundle.kinds import UNKNOWN_KIND, kinds_in_words
from engines.training.kinds.fit import Examples, FoundKinds, fit_kinds

DIM = 40
NAMES = ("crack", "dent", "scratch", "stain")


def looks(kind: int, count: int, seed: int) -> NDArray[np.float64]:
    """Defects of a kind: a direction of their own, one that all defects share, and noise."""
    rng = np.random.default_rng([kind, seed])
    return np.asarray(3 * np.eye(DIM)[kind] + 5 * np.eye(DIM)[-1] + 0.3 * rng.normal(size=(count, DIM)))


def fit(values: NDArray[np.float64], names: list[str], groups: NDArray[np.intp] | None = None) -> FoundKinds:
    everyone = np.arange(len(values))
    return fit_kinds(Examples(values, tuple(names), everyone if groups is None else groups, everyone))


def fitted(each: int, kinds: int = 4) -> FoundKinds:
    values = np.concatenate([looks(kind, each, 0) for kind in range(kinds)])
    return fit(values, [NAMES[kind] for kind in range(kinds) for _ in range(each)])


def said(found: FoundKinds, values: NDArray[np.float64]) -> list[str]:
    return [found.record.name_of(row) for row in found.likeness(values).tolist()]


def test_kinds_are_named_and_a_stranger_is_unknown() -> None:
    for each in (1, 2, 5):
        found = fitted(each)
        assert found.record.names == NAMES
        assert found.record.labelled == (each,) * 4
        for kind, name in enumerate(NAMES):
            names = said(found, looks(kind, 20, 1))
            assert set(names) <= {name, UNKNOWN_KIND}, each
            assert names.count(name) >= 14, each
        strangers = said(found, looks(9, 20, 1))
        assert strangers.count(UNKNOWN_KIND) >= (5 if each == 1 else 14), (each, strangers)


def test_leaving_out_says_how_often_a_name_is_right() -> None:
    several, single = fitted(5).record, fitted(1).record
    assert (several.left_out, several.right, several.unknown) == (20, 20, 0)
    assert "Each of 20 left out with its twins, 20 are named rightly" in kinds_in_words(several)
    assert single.left_out == 0
    assert "not known" in kinds_in_words(single)


def test_twins_do_not_vouch_for_each_other() -> None:
    """Two kinds that cannot be told apart, each image there twice: with its twin left in, every name would be right."""
    values = np.repeat(looks(0, 8, 0), 2, axis=0)
    names = [NAMES[position // 2 % 2] for position in range(16)]
    groups = np.repeat(np.arange(8), 2) * 2
    with_twins = fit(values, names).record.right
    assert fit(values, names, groups).record.right < with_twins


def test_a_likeness_that_is_no_number_is_unknown() -> None:
    assert fitted(2).record.name_of([float("nan")] * 4) == UNKNOWN_KIND


def left_out(values: NDArray[np.float64], names: list[str], groups: NDArray[np.intp]) -> list[str]:
    """The name that each image has most in common with when it and its twins are really away; "": its kind is away."""
    found = []
    for image in range(len(values)):
        others = np.flatnonzero(groups != groups[image])
        if not len(others) or names[image] not in {names[other] for other in others}:
            found.append("")
            continue
        kinds = sorted({names[other] for other in others})
        means = [values[[other for other in others if names[other] == kind]].mean(axis=0) for kind in kinds]
        common = np.mean(means, axis=0)
        lengths = [np.linalg.norm(mean - common) for mean in means]
        off = values[image] - common
        cosines = [
            off @ (mean - common) / max(length * float(np.linalg.norm(off)), 1e-12)
            for mean, length in zip(means, lengths, strict=True)
        ]
        found.append(kinds[int(np.argmax(cosines))])
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 30), st.integers(2, 4))
def test_sums_leave_out_what_is_left_out(seed: int, count: int, kinds: int) -> None:
    rng = np.random.default_rng(seed)
    of = np.concatenate([np.arange(kinds), rng.integers(0, kinds, count)])
    values = 2 * np.eye(DIM)[of] + rng.normal(size=(len(of), DIM))
    names, groups = [NAMES[kind] for kind in of], rng.integers(0, len(of), len(of))
    record = fit(values, names, groups).record
    expected = left_out(values, names, groups)
    assert record.left_out == sum(bool(name) for name in expected)
    named_rightly = sum(name == own for name, own in zip(expected, names, strict=True))
    assert record.right <= named_rightly <= record.right + record.unknown
