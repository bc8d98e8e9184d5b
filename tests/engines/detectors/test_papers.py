"""What is special about the detectors of papers."""

from __future__ import annotations

import pytest
import torch

from engines.bundle.manifest import InputSpec
from engines.detectors.catalogue import DETECTORS, MEASURED
from engines.detectors.papers.contrastive import ContrastiveDetector
from engines.detectors.papers.masked import MaskedDetector
from engines.detectors.papers.rotation import RotationDetector

SPEC = InputSpec(width=128, height=128)
DEFECT = 3, 4


def random_cells(images: int, rows: int, columns: int, dim: int, seed: int) -> torch.Tensor:
    return torch.randn(images, rows, columns, dim, generator=torch.Generator().manual_seed(seed))


def test_teaching_does_not_offer_them() -> None:
    assert MEASURED.keys() - DETECTORS.keys() == {"masked", "rotation", "contrastive"}


def test_the_predictor_sees_nothing_of_the_place_and_its_neighbours() -> None:
    detector = MaskedDetector(SPEC)
    cells = random_cells(12, *detector.map_size, detector.dim, seed=1)
    detector.initialise({"cells": cells})
    assert not detector.kernel[:, :, 1:4, 1:4].any()
    assert detector.kernel[:, :, 0].any()


def test_a_pattern_that_goes_on_is_reconstructed_and_a_break_in_it_is_not() -> None:
    """Cells are what stands three cells further on, so their surroundings say what they are."""
    detector = MaskedDetector(SPEC)
    rows, columns = detector.map_size
    period = random_cells(40, rows, 2, detector.dim, seed=2)
    good = period.repeat(1, 1, columns // 2, 1)  # a place is that two columns on
    detector.initialise({"cells": good[:30]})
    broken = good[30:].clone()
    broken[:, DEFECT[0], DEFECT[1]] = random_cells(10, 1, 1, detector.dim, seed=3)[:, 0, 0]
    _, maps = detector.score({"cells": broken})
    hottest = maps.flatten(1).argmax(dim=1)
    assert (hottest == DEFECT[0] * columns + DEFECT[1]).all()


@pytest.mark.parametrize(("width", "height"), [(128, 128), (128, 96)])
def test_every_turn_of_the_features_is_turned_back(width: int, height: int) -> None:
    detector = RotationDetector(InputSpec(width=width, height=height))
    maps = random_cells(2, 4, 4 if width == height else 3, 5, seed=4).permute(0, 3, 1, 2)
    for turn in range(4):
        back = -turn % 4 if width == height else turn
        assert torch.equal(detector._turned(detector._turned(maps, turn), back), maps)
    if width == height:
        assert torch.equal(detector._turned(maps, 1), torch.rot90(maps, 1, (2, 3)))
        assert torch.equal(detector._turned(maps, 3), torch.rot90(maps, 3, (2, 3)))


def test_turns_that_can_be_told_apart_do_not_surprise() -> None:
    detector = RotationDetector(SPEC)
    centres = 3 * random_cells(1, 4, 1, detector.dim, seed=5)[0, :, 0]
    noise = torch.randn(30, 4, *detector.map_size, detector.dim, generator=torch.Generator().manual_seed(6))
    turned = noise + centres[None, :, None, None]
    detector.initialise({"turned": turned[:20]})
    good, _ = detector.score({"turned": turned[20:]})
    mixed = turned[20:].clone()
    mixed[:, :, 1, 2] = noise[20:, :, 1, 2]  # a place that looks the same whichever way up it is
    odd, maps = detector.score({"turned": mixed})
    assert (odd > good).all()
    assert (maps.flatten(1).argmax(dim=1) == 1 * detector.map_size[1] + 2).all()


def test_scores_differ_where_every_turn_is_certain() -> None:
    """The probability of the right turn is 1 in all images, and a limit needs scores that differ."""
    detector = RotationDetector(SPEC)
    centres = 50 * random_cells(1, 4, 1, detector.dim, seed=5)[0, :, 0]
    noise = torch.randn(30, 4, *detector.map_size, detector.dim, generator=torch.Generator().manual_seed(6))
    turned = noise + centres[None, :, None, None]
    detector.initialise({"turned": turned[:20]})
    scores, _ = detector.score({"turned": turned[20:]})
    assert detector.loss({"turned": turned[20:]}) < 1e-5
    assert len(scores.unique()) == len(scores)


def test_what_is_learned_by_contrast_is_the_same_every_time_and_pushes_apart() -> None:
    detector = ContrastiveDetector(SPEC, bank_size=50)
    patches = random_cells(10, *detector.map_size, 192, seed=7)
    patches[:5] += 4.0  # two kinds
    detector.initialise({"patches": patches})
    first = detector.learned.weight.clone()
    detector.initialise({"patches": patches})
    assert torch.equal(first, detector.learned.weight)
    flat = detector.learned(patches.reshape(-1, 192))
    kinds = flat[: len(flat) // 2], flat[len(flat) // 2 :]
    within = torch.cdist(kinds[0], kinds[0]).mean()
    assert torch.cdist(*kinds).mean() > 2 * within


@pytest.mark.parametrize(
    ("detector", "name", "shape"),
    [
        (MaskedDetector(SPEC), "cells", (2, 8, 8, 64)),
        (RotationDetector(SPEC), "turned", (2, 4, 4, 4, 96)),
        (ContrastiveDetector(SPEC, bank_size=10), "patches", (2, 8, 8, 192)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else "",
)
def test_nothing_to_learn_from_is_refused(
    detector: MaskedDetector | RotationDetector | ContrastiveDetector, name: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="nothing is left to learn from"):
        detector.initialise({name: torch.zeros(shape)}, torch.zeros(2, *detector.map_size))
