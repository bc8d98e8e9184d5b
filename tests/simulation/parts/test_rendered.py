"""Rendered parts: the same seed gives the same part, and a defect shows where the good part was."""

from __future__ import annotations

import numpy as np
import pytest

from station.simulation.parts.rendered import DEFECTS, SIZE_PX, render


def changed_px(seed: int, truth: str) -> int:
    """Pixels that a person would see change: by more than 20 grey levels."""
    difference = np.abs(render(seed, truth).astype(int) - render(seed).astype(int)).max(axis=2)
    return int((difference > 20).sum())


@pytest.mark.parametrize("truth", ["good", *DEFECTS])
def test_same_seed_same_part(truth: str) -> None:
    part = render(7, truth)
    assert part.shape == (SIZE_PX, SIZE_PX, 3)
    assert part.dtype == np.uint8
    np.testing.assert_array_equal(part, render(7, truth))


def test_parts_differ_from_each_other() -> None:
    assert np.abs(render(1).astype(int) - render(2).astype(int)).mean() > 2


@pytest.mark.parametrize("truth", DEFECTS)
@pytest.mark.parametrize("seed", range(8))
def test_defect_is_visible_and_local(seed: int, truth: str) -> None:
    changed = changed_px(seed, truth)
    assert changed > 60, "nobody could see this defect"
    assert changed < 0.05 * SIZE_PX * SIZE_PX, "a defect is local; more than that is another part"


def test_unknown_defect_is_refused() -> None:
    with pytest.raises(ValueError, match="rust"):
        render(1, "rust")
