"""The shown map: as high as the map, and drawn together on what stands out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.bundle.manifest import InputSpec, MapSpec
from engines.detectors.detail import DetailedMap
from engines.detectors.spatial import SpatialDetector
from engines.detectors.without_torch import DETAIL
from engines.runtimes.signature import scored_map, shown_map

ROWS, COLUMNS, DIM = 8, 6, 5
SPOT = (slice(None), 6, 5)
"""A cell of the shown map, in all images."""


def ordinary(count: int) -> torch.Tensor:
    return torch.randn(count, 2 * ROWS, 2 * COLUMNS, DIM, generator=torch.Generator().manual_seed(0))


def learned() -> DetailedMap:
    detail = DetailedMap(ROWS, COLUMNS, DIM)
    detail.fit(ordinary(40), None)
    return detail


def hump() -> torch.Tensor:
    """A coarse map of one image with nine hot cells around the spot."""
    anomaly_map = torch.zeros(1, ROWS, COLUMNS)
    anomaly_map[0, 2:5, 1:4] = 1.0
    anomaly_map[0, 3, 2] = 1.2
    return anomaly_map


def test_a_region_is_drawn_together_on_the_spot_and_keeps_its_height() -> None:
    features = torch.ones(1, 2 * ROWS, 2 * COLUMNS, DIM) / 2
    features[SPOT] = 30.0
    layers = learned()(hump(), features)
    assert layers.shape == (1, 2, 2 * ROWS, 2 * COLUMNS)
    scored, shown = layers[:, 0], layers[:, 1]
    assert torch.equal(scored[:, ::2, ::2], hump())
    assert shown.max().item() == pytest.approx(1.2)
    assert shown[SPOT].item() == pytest.approx(1.2)
    assert (scored > 0.6).sum() == 36
    assert (shown > 0.6).sum() == 5, "the cell and its four neighbours"


def two_places(odd: float, other: float) -> torch.Tensor:
    """What is shown above 0.6 of two equal humps far from each other, (rows, columns); at each of them, the deviance of
    3 x 3 fine cells is that often the ordinary one.
    """
    anomaly_map = torch.zeros(1, 4 * ROWS, COLUMNS)
    anomaly_map[0, 2:5, 1:4] = anomaly_map[0, 26:29, 1:4] = 1.0
    detail = DetailedMap(4 * ROWS, COLUMNS, DIM)
    features = torch.ones(1, 8 * ROWS, 2 * COLUMNS, DIM)
    features[0, 6:9, 4:7] *= odd**0.5
    features[0, 54:57, 4:7] *= other**0.5
    return detail(anomaly_map, features)[0, 1] > 0.6


def test_what_only_coarse_maps_see_far_from_a_strong_defect_fades() -> None:
    shown = two_places(30.0, 1.0)
    assert shown[:16].any()
    assert not shown[16:].any()


def test_a_second_defect_keeps_its_region_far_from_one_that_is_three_times_as_odd() -> None:
    shown = two_places(30.0, 10.0)
    assert shown[:16].any()
    assert shown[54:57, 4:7].all()


def test_where_no_place_stands_out_the_map_stays() -> None:
    """So what only coarse maps see is shown as they see it."""
    features = learned().mean.unsqueeze(0) + 0.9
    shown = learned()(hump(), features)[:, 1]
    smooth = torch.nn.functional.interpolate(hump().unsqueeze(1), scale_factor=2, mode="bilinear")[:, 0]
    assert (shown - smooth).max() - (shown - smooth).min() < 1e-5


def test_cells_that_must_not_be_learned_are_not() -> None:
    dirty = ordinary(40)
    dirty[:3, 4:6, 2:4] += 50.0
    weights = torch.ones(40, ROWS, COLUMNS)
    weights[:3, 2, 1] = 0.0
    detail = DetailedMap(ROWS, COLUMNS, DIM)
    detail.fit(dirty, weights)
    assert detail.mean[4:6, 2:4].abs().max() < 1.0
    assert torch.dist(detail.whitening, learned().whitening) < 0.1


def test_the_default_detector_gives_both_maps_and_its_score_does_not_depend_on_the_shown_one() -> None:
    detector = SpatialDetector(InputSpec(width=96, height=64)).eval()
    images = torch.randint(0, 256, (6, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    size = MapSpec(width=6, height=4, detail=2)
    with torch.inference_mode():
        features = detector.features(images)
        detector.initialise(features)
        detector.fit_detail(features)
        scores, layers = detector(images)
        without, anomaly_map = detector.score({name: value for name, value in features.items() if name != DETAIL})
    assert layers.shape[1:] == size.shape
    assert torch.equal(scores, without)
    np.testing.assert_array_equal(scored_map(layers.numpy(), size), anomaly_map.numpy())
    shown = shown_map(layers.numpy(), size)
    np.testing.assert_allclose(shown.max(axis=(1, 2)), anomaly_map.amax(dim=(1, 2)).numpy(), atol=1e-6)


def test_a_manifest_of_an_engine_without_a_finer_map_says_what_it_always_said() -> None:
    assert MapSpec(width=6, height=4).model_dump() == {"width": 6, "height": 4}
    assert MapSpec(width=6, height=4, detail=2).model_dump() == {"width": 6, "height": 4, "detail": 2}
    alone = np.zeros((3, 4, 6), np.float32)
    assert scored_map(alone, MapSpec(width=6, height=4)) is alone
    assert shown_map(alone, MapSpec(width=6, height=4)) is alone
