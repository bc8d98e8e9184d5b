"""The palette: nothing below the limit, an order that everybody can see, a part that stays recognisable."""

from __future__ import annotations

import numpy as np
import pytest

from engines.overlay import HEAT, OPACITY, coloured, fitted, heated, hexadecimal, legend, outline, shown_map
from engines.scale import LIMIT, ScoreScale

SCALE = ScoreScale(typical=-2.0, limit=3.0)

# Linear RGB of red-blind and green-blind eyes: Vienot, Brettel, Mollon 1999, "Digital video colourmaps for checking the
# legibility of displays by dichromats", as one matrix each.
NORMAL = np.eye(3)
PROTANOPE = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def lightness(rgb: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """CIE L*, 0 to 100, of sRGB colours (n, 3) as this eye sees them."""
    share = rgb / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ eye.T
    return 116.0 * np.cbrt(np.clip(linear, 1e-6, 1.0) @ [0.2126, 0.7152, 0.0722]) - 16.0


@pytest.mark.parametrize("eye", [NORMAL, PROTANOPE, DEUTERANOPE], ids=["normal", "protanope", "deuteranope"])
def test_every_eye_sees_the_order_of_the_colours(eye: np.ndarray) -> None:
    seen = lightness(np.array([colour for _, colour in HEAT], float), eye)
    assert (np.diff(seen) < -12).all(), seen


def test_nothing_covers_the_part_below_the_limit() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    anomaly_map = np.linspace(-9.0, 9.0, 8 * 10, dtype=np.float32).reshape(8, 10)
    drawn = heated(picture, anomaly_map, SCALE)
    below = np.repeat(np.repeat(anomaly_map < 1.0, 5, axis=0), 5, axis=1)  # a cell away from the limit
    above = np.repeat(np.repeat(anomaly_map > 5.0, 5, axis=0), 5, axis=1)
    assert (drawn[below] == picture[below]).all()
    assert (drawn[above] != picture[above]).any(axis=1).all()


def test_the_part_shows_through_the_strongest_colour() -> None:
    dark, light = (coloured(np.full((1, 1, 3), grey, np.uint8), np.ones((1, 1), np.float32)) for grey in (40, 200))
    assert (light.astype(int) - dark >= 160 * (1 - OPACITY[1]) - 1).all()


def test_the_scale_is_that_of_the_score() -> None:
    raw = np.array([[-1e6, -2.0, 0.0], [3.0, 4.5, 1e6]], np.float32)
    expected = [[SCALE.shown(float(value)) for value in row] for row in raw]
    np.testing.assert_allclose(shown_map(raw, SCALE), expected, atol=1e-6)


def test_the_legend_has_the_limit_in_its_middle() -> None:
    bar = legend(200, 10)
    assert bar.shape == (10, 200, 3)
    assert (bar[:, :98] == bar[0, 0]).all(), "no colour below the limit"
    assert bar[0, 99].max() < 60, "the mark"
    assert (np.diff(lightness(bar[0, 102:].astype(float), NORMAL)) < 0.5).all()
    assert HEAT[0][0] == LIMIT


@pytest.mark.parametrize("ground", [0, 90, 255])
def test_an_outline_shows_on_every_ground(ground: int) -> None:
    picture = np.full((60, 60, 3), ground, np.uint8)
    outline(picture, np.array([[10, 10], [50, 10], [50, 50], [10, 50]], np.int32))
    assert np.abs(picture.astype(int) - ground).max() > 100
    assert picture[30, 30, 0] == ground


def test_a_picture_is_made_smaller_and_never_larger() -> None:
    assert fitted(np.zeros((2000, 500), np.uint8), 240, 240).shape == (240, 60, 3)
    assert fitted(np.zeros((20, 50, 3), np.uint8), 240, 240).shape == (20, 50, 3)
    assert fitted(np.zeros((1, 4000), np.uint8), 240, 240).shape == (1, 240, 3)
    assert hexadecimal((1, 160, 255)) == "#01a0ff"
