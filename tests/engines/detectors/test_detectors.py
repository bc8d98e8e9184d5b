"""What every detector must do, on small real images and the real backbone."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS, MEASURED, DetectorFactory
from engines.detectors.differnet import DiffernetDetector
from engines.detectors.papers import contrastive
from engines.ignored_zones import score_of
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.signature import scored_map
from engines.training.release.export import check_half, check_parity, export_onnx, map_spec
from tests.bench.engines.pictures import ring

WIDTH, HEIGHT = 256, 96
SPEC = InputSpec(width=WIDTH, height=HEIGHT)
GOOD_COUNT = 6

FACTORIES: dict[str, DetectorFactory] = {
    **MEASURED,
    # As it is, but with fewer views and a smaller flow: the tests are about what it does, not how well.
    "differnet": functools.partial(DiffernetDetector, train_views=2, test_views=2, hidden=16),
}
STEPS = 20
"""Of what learns by contrast, in place of 120: for the same reason. tests/engines/detectors/test_papers.py has all."""
every_detector = pytest.mark.parametrize("name", sorted(FACTORIES))


@pytest.fixture(scope="module", autouse=True)
def _few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrastive, "STEPS", STEPS)
        yield


def pictures(*seeds: int, scratch: bool = False) -> torch.Tensor:
    images = [cv2.resize(ring(seed, scratch=scratch), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for seed in seeds]
    return torch.from_numpy(np.stack(images))


@functools.cache
def good_features(name: str) -> dict[str, torch.Tensor]:
    with torch.inference_mode():
        found = FACTORIES[name](SPEC).features(pictures(*range(GOOD_COUNT)))
    return {key: value.clone() for key, value in found.items()}


@functools.cache
def trained(name: str, seed: int = 0) -> Detector:
    """In closed form and a few steps, enough to leave the identity."""
    torch.manual_seed(seed)
    detector = FACTORIES[name](SPEC).eval()
    features = good_features(name)
    detector.initialise(features)
    parameters = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    if parameters:
        optimiser = torch.optim.Adam(parameters, lr=1e-3)
        for _ in range(3):
            optimiser.zero_grad()
            detector.loss(features).backward()
            optimiser.step()
    return detector


def scored(detector: Detector, images: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores, and the maps that they follow from."""
    with torch.inference_mode():
        score, layers = detector(images)
    return score.numpy(), scored_map(layers.numpy(), map_spec(detector))


@every_detector
def test_the_image_score_follows_from_the_map_as_the_detector_says(name: str) -> None:
    """What zones of a frame rest on; a detector that says nothing has a score of the whole image."""
    detector = trained(name)
    assert (detector.map_score is None) == (name == "differnet")
    if detector.map_score is not None:
        for score, anomaly_map in zip(*scored(detector, pictures(100, 102, scratch=True)), strict=True):
            assert score_of(anomaly_map, anomaly_map.size, detector.map_score) == pytest.approx(score, rel=1e-5)


@every_detector
def test_shapes_and_a_defect_scores_higher(name: str) -> None:
    detector = trained(name)
    score, anomaly_map = scored(detector, torch.cat([pictures(100, 101), pictures(102, 103, scratch=True)]))
    assert score.shape == (4,)
    assert anomaly_map.shape == (4, *detector.map_size)
    assert np.isfinite(score).all()
    assert np.isfinite(anomaly_map).all()
    assert score[2:].min() > score[:2].max()
    assert anomaly_map[2:].max(axis=(1, 2)).min() > anomaly_map[:2].max(axis=(1, 2)).max()


@every_detector
def test_an_image_is_scored_alike_in_any_batch(name: str) -> None:
    images = pictures(100, 101)
    together = scored(trained(name), images)
    alone = [scored(trained(name), images[index : index + 1]) for index in range(2)]
    for position in range(2):
        assert np.allclose(together[position], np.concatenate([one[position] for one in alone]), rtol=1e-3, atol=1e-3)


@every_detector
def test_features_and_forward_score_alike(name: str) -> None:
    detector, images = trained(name), pictures(100, 101)
    with torch.inference_mode():
        from_features = detector.score(detector.features(images))
    for found, expected in zip(from_features, scored(detector, images), strict=True):
        assert np.allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


@every_detector
def test_initialising_forgets_what_was_learned(name: str) -> None:
    features = good_features(name)
    fresh = FACTORIES[name](SPEC).eval()
    fresh.initialise(features)
    again = FACTORIES[name](SPEC).eval()
    again.initialise({key: value.flip(0) * 1.5 for key, value in features.items()})
    again.initialise(features)
    with torch.inference_mode():
        for first, second in zip(fresh.score(features), again.score(features), strict=True):
            assert torch.equal(first, second)


@every_detector
def test_features_of_an_image_are_always_the_same(name: str) -> None:
    expected = good_features(name)
    with torch.inference_mode():
        found = FACTORIES[name](SPEC).features(pictures(3))
    for key, value in found.items():
        assert torch.allclose(value[0], expected[key][3], rtol=1e-3, atol=1e-3), key


@every_detector
def test_images_without_weight_are_not_learned(name: str) -> None:
    features = good_features(name)
    dirty = {key: torch.cat([value, 3 * value[:2] + 1]) for key, value in features.items()}
    clean_detector, detector = (FACTORIES[name](SPEC).eval() for _ in range(2))
    weights = torch.ones(GOOD_COUNT + 2, *detector.map_size)
    weights[GOOD_COUNT:] = 0
    clean_detector.initialise(features)
    detector.initialise(dirty, weights)
    with torch.inference_mode():
        clean_scores, scores = clean_detector.score(dirty)[0], detector.score(dirty)[0]
        assert torch.allclose(clean_scores, scores, rtol=1e-3, atol=1e-3)
        assert torch.allclose(detector.loss(dirty, weights), detector.loss(features), rtol=1e-3)
        detector.initialise(dirty)
        learned = detector.score(dirty)[0][GOOD_COUNT:]
    if name == "rotation":  # three times the contrast leave no doubt which way up it is, learned or not
        assert not torch.allclose(learned, scores[GOOD_COUNT:], rtol=0.1)
    else:
        assert (learned < 0.5 * scores[GOOD_COUNT:]).all()


@every_detector
def test_constant_images_stay_finite(name: str) -> None:
    detector = FACTORIES[name](SPEC).eval()
    black = torch.zeros(3, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    with torch.inference_mode():
        features = detector.features(black)
        detector.initialise(features)
        results = (*detector.score(features), *detector(torch.full_like(black, 255)), detector.loss(features))
    assert all(torch.isfinite(value).all() for value in results)


@every_detector
def test_positive_keeps_the_order(name: str) -> None:
    detector = trained(name)
    with torch.inference_mode():
        scores = detector.score(good_features(name))[0].sort().values
    positive = detector.positive(scores)
    assert (positive > 0).all()
    assert (positive.diff() >= 0).all()
    assert torch.isfinite(detector.positive(torch.tensor([1e6]))).all() or name in ("spatial", "masked")


@pytest.mark.system
@pytest.mark.parametrize("name", sorted(MEASURED.keys() - DETECTORS.keys()))
def test_the_exported_graph_of_a_detector_that_is_only_measured_computes_the_same(name: str) -> None:
    images = torch.cat([pictures(100, 101), pictures(102, scratch=True)]).numpy()
    detector = trained(name)
    with OnnxRuntime(export_onnx(detector, SPEC), SPEC, map_spec(detector), threads=1) as runtime:
        check_parity(detector, runtime, images)


@pytest.mark.system
@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_the_exported_graph_computes_the_same_in_both_precisions(name: str) -> None:
    detector = trained(name)
    images = torch.cat([pictures(100, 101), pictures(102, scratch=True), 255 - pictures(103)]).numpy()
    models = [export_onnx(detector, SPEC, precision) for precision in ("float32", "float16")]
    assert len(models[1]) < 0.8 * len(models[0])
    with (
        OnnxRuntime(models[0], SPEC, map_spec(detector), threads=1) as full,
        OnnxRuntime(models[1], SPEC, map_spec(detector), threads=1) as half,
    ):
        check_parity(detector, full, images)
        check = check_half(full, half, images)
    assert check.rank_correlation == 1.0
    assert 0 < check.max_score_difference < 0.05
