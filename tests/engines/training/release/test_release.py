"""What a training releases: graphs that passed the gate, golden images, and a sample that says something."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS
from engines.errors import ExportError
from engines.parity_report import HALF, INT8, Tolerance
from engines.preprocess import SAME_PIXELS
from engines.runtimes.onnx import OnnxRuntime
from engines.training.fitting.train import TrainOptions
from engines.training.images.dataset import Dataset, open_dataset, read_image
from engines.training.images.features import cached_features
from engines.training.learn import Learned, LearnOptions, learn
from engines.training.location.locate import Located, LocateOptions, locate
from engines.training.release import release as releasing
from engines.training.release.export import map_spec
from engines.training.release.frame_graph import check_frame_graph
from engines.training.release.int8.quantise import QuantisedGraph, quantised_backbone
from engines.training.release.release import ON_A_LIMIT, SAMPLE, Released, release
from tests.bench.engines.pictures import write_rings
from tests.bench.made_once import made_once

pytestmark = pytest.mark.system

GOOD, BAD = 24, 3


@dataclass(frozen=True)
class Training:
    detector: Detector
    located: Located
    learned: Learned

    def release(self, *, int8: bool) -> Released:
        bad = range(GOOD, GOOD + BAD)
        return release(self.detector, self.located, self.learned, threads=1, known_bad=bad, int8=int8)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return made_once(tmp_path_factory, "release", learned_from_rings)


def learned_from_rings(folder: Path) -> Training:
    write_rings(folder / "images", GOOD)
    write_rings(folder / "images", BAD, first_seed=600, scratch=True)
    located = locate(open_dataset(folder / "images"), LocateOptions("none"))
    detector = DETECTORS["spatial"](located.input).eval()
    features = cached_features(
        detector, located.dataset, located.input, detector_key="x", folder=folder, on_progress=lambda _done, _all: None,
        location=located.location,
    )  # fmt: skip
    options = LearnOptions(training=TrainOptions(steps=0))
    learned = learn(detector, features, np.arange(GOOD), options)
    return Training(detector, located, learned)


LENIENT = Tolerance(score_share=10.0, map_share=10.0, rank_correlation=-1.0, changed_share=1.0)
"""For 8 bits: rendered parts hardly vary, so that rounding shows more than on real ones."""


@pytest.fixture(scope="module", autouse=True)
def _quantised_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same graph with the same images is quantised once: it takes longest, and gives the same every time."""

    def once(
        model: bytes, images: Sequence[NDArray[np.uint8]], *, spared_share: float, **options: Any
    ) -> QuantisedGraph:
        content = b"".join((model, *(image.tobytes() for image in images)))
        return made_once(
            tmp_path_factory,
            f"int8-{hashlib.sha256(content).hexdigest()}-{spared_share}",
            lambda _: quantised_backbone(model, images, spared_share=spared_share, **options),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releasing, "quantised_backbone", once)
        yield


@pytest.fixture(scope="module")
def released(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Released:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(releasing, "INT8_AT_TEACHING", LENIENT)
        return made_once(tmp_path_factory, "released", lambda _: training.release(int8=True))


def test_every_graph_passed_its_gate(released: Released) -> None:
    assert released.warnings == ()
    assert set(released.variants) == {"fp16", "int8"}
    for graph, tolerance in ((released.variants["fp16"], HALF), (released.variants["int8"], LENIENT)):
        assert graph.parity.passed
        assert graph.parity.tolerance == tolerance
        assert graph.parity.golden == 4
        assert 0 < graph.parity.score_share < tolerance.score_share
        assert graph.parity.reference.startswith("ONNX Runtime ")
    assert released.variants["fp16"].parity.candidate.endswith(" fp16")
    assert released.variants["int8"].parity.candidate.endswith(" int8 (88% of the backbone's multiply-accumulates)")
    assert released.variants["fp16"].parity.score_share < released.variants["int8"].parity.score_share


def test_8_bits_are_judged_on_other_images_than_gave_the_ranges(released: Released, training: Training) -> None:
    kept = len(training.learned.refinement.kept)
    assert released.variants["int8"].parity.images == 4 + len(released.sample) + kept // 2 + BAD
    assert released.variants["fp16"].parity.images == 4 + len(released.sample)


def test_the_sample_is_spread_and_lies_on_no_limit(released: Released, training: Training) -> None:
    limits = training.learned.calibration
    assert 8 <= len(released.sample) <= SAMPLE
    size = training.located.input, map_spec(training.detector)
    with OnnxRuntime(released.model, *size, threads=1) as runtime:
        scores = np.array([runtime.infer(image[np.newaxis])[0][0] for image in released.sample])
    way = limits.reject_score - limits.typical_score
    assert np.abs(scores - limits.reject_score).min() >= ON_A_LIMIT * way
    assert np.abs(scores - limits.review_score).min() >= ON_A_LIMIT * way
    assert len(np.unique(scores)) == len(scores)


def test_the_frame_graph_is_for_frames_as_they_were_taught(released: Released, training: Training) -> None:
    file = training.located.dataset.files[0]
    assert released.frame is not None
    assert released.frame.shape == ((file.height, file.width) if file.grey else (file.height, file.width, 3))
    images = [read_image(file.path) for file in training.located.dataset.files[:3]]
    assert check_frame_graph(released.frame, images, training.located.input, training.located.location) <= SAME_PIXELS


def test_images_of_several_sizes_have_no_frame_graph(training: Training) -> None:
    files = training.located.dataset.files
    for every, has_one in ((3, False), (len(files), True)):  # one image of another size does not decide for all
        odd = tuple(
            file if index % every else dataclasses.replace(file, width=file.width + 2)
            for index, file in enumerate(files)
        )
        located = dataclasses.replace(training.located, dataset=Dataset(training.located.dataset.folder, odd))
        assert (releasing._frame(located) is not None) == has_one


def test_a_graph_over_tolerance_is_refused_with_the_numbers(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "HALF", Tolerance(score_share=0.0, map_share=0.0, rank_correlation=1.0))
    released = training.release(int8=False)
    assert released.variants == {}
    (warning,) = released.warnings
    assert warning.startswith("model_fp16.onnx is refused: ONNX Runtime ")
    assert "of the way to the reject limit, allowed 0.00%" in warning


def test_8_bits_are_taught_with_room_for_a_gpu() -> None:
    taught, allowed = releasing.INT8_AT_TEACHING, INT8
    assert taught.score_share < allowed.score_share
    assert taught.map_share < allowed.map_share
    assert (taught.rank_correlation, taught.changed_share) == (allowed.rank_correlation, allowed.changed_share)


def test_8_bits_spare_as_many_convolutions_as_the_gate_asks_for(
    training: Training, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged by a tolerance that all convolutions in 8 bits exceed by a little."""
    every = released.variants["int8"].parity.score_share
    monkeypatch.setattr(releasing, "INT8_AT_TEACHING", LENIENT.model_copy(update={"score_share": 0.99 * every}))
    monkeypatch.setattr(releasing, "SPARED_SHARES", (0.0, 0.5))
    found = training.release(int8=True)
    assert found.warnings == ()
    assert found.variants["int8"].parity.score_share < every
    assert "int8 (5" in found.variants["int8"].parity.candidate


def test_a_graph_that_cannot_be_made_is_reported(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(_model: bytes, _images: object, **_options: object) -> bytes:
        raise ExportError("there is nothing to do in 8 bits")

    monkeypatch.setattr(releasing, "quantised_backbone", impossible)
    released = training.release(int8=True)
    assert set(released.variants) == {"fp16"}
    assert released.warnings == ("model_int8.onnx was not made: there is nothing to do in 8 bits",)
