"""A running engine: scores, times, and everything that must stop it from being used."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engines.bundle.kinds import UNKNOWN_KIND, KindsRecord
from engines.bundle.location_spec import BlobLocation
from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.engine import Engine, EngineOutput, open_engine
from engines.errors import EngineError, GoldenMismatch, ImageError, PartNotLocated, RuntimeFailure
from engines.location.location import WHOLE_IMAGE
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.opening import Opened
from engines.training.release.frame_graph import make_frame_graph
from tests.bench.engines.frames_on_onnx import FramesOnOnnx
from tests.bench.engines.loose_parts import Lie, screw
from tests.bench.engines.small_engine import write_located_engine, write_small_engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_small_engine(tmp_path / "engine", width=64, height=48)


def uniform(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 64, np.uint8)


def test_a_bright_spot_scores_higher_and_the_map_shows_where(path: Path) -> None:
    with open_engine(path, threads=1) as engine:
        good = engine.score(uniform(48, 64))
        spot = uniform(48, 64)
        spot[8:16, 48:56] = 200
        bad = engine.score(spot)
        assert good.image_score == 0.0
        assert bad.image_score > engine.calibration.reject_score
        assert np.unravel_index(bad.anomaly_map.argmax(), bad.anomaly_map.shape) == (1, 6)
        assert len(engine.engine_id) == 64


def test_times_bracket_the_runtime_call(path: Path) -> None:
    with open_engine(path) as engine:
        before = time.monotonic_ns()
        output = engine.score(uniform(48, 64))
        assert before <= output.start_ns <= output.end_ns <= time.monotonic_ns()


def test_other_sizes_and_grey_are_fitted(path: Path) -> None:
    with open_engine(path) as engine:
        output = engine.score(np.full((480, 320), 64, np.uint8))
        assert output.image_score == 0.0
        assert output.anomaly_map.shape == (6, 4)


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)])
def test_wrong_images_are_refused(path: Path, image: np.ndarray) -> None:
    with open_engine(path) as engine, pytest.raises(ImageError, match="uint8"):
        engine.score(image)


def test_images_scored_together_are_scored_as_one_by_one(path: Path) -> None:
    """Of several sizes, grey and colour, and with one that holds a spot."""
    spot = uniform(48, 64)
    spot[8:16, 48:56] = 200
    images = [uniform(48, 64), spot, np.full((96, 128), 90, np.uint8), uniform(30, 40)]
    with open_engine(path, threads=1) as engine:
        together = engine.score_batch(images)
        for image, output in zip(images, together, strict=True):
            alone = engine.score(image)
            assert isinstance(output, EngineOutput)
            assert output.image_score == pytest.approx(alone.image_score, rel=1e-5)
            np.testing.assert_allclose(output.anomaly_map, alone.anomaly_map, rtol=1e-5)
        assert len({(output.start_ns, output.end_ns) for output in together if isinstance(output, EngineOutput)}) == 1
        assert engine.score_batch([]) == []


def test_a_part_that_is_not_found_costs_the_others_nothing(tmp_path: Path) -> None:
    """One image without a part among others: it says so, they are scored."""
    where = BlobLocation(contrast=40, min_area_share=0.01, max_area_share=0.2, turn=True, head="shape")
    part = screw(Lie(), width=160, height=128, colour=False, noise=0.0)
    with open_engine(write_located_engine(tmp_path / "located", part, where), threads=1) as engine:
        missing, found = engine.score_batch([np.full((128, 160), 180, np.uint8), part])
        assert isinstance(missing, PartNotLocated)
        assert isinstance(found, EngineOutput)
        assert found.image_score == pytest.approx(engine.score(part).image_score, rel=1e-5)


def test_frames_that_the_runtime_prepares_score_alike(path: Path) -> None:
    """Others, and mixtures, are prepared here; what comes back covers the frame either way."""
    bundle = read_bundle(path)
    graph = make_frame_graph(200, 100, bundle.manifest.input, WHOLE_IMAGE, grey=True)
    spot = np.full((100, 200), 64, np.uint8)
    spot[40:70, 20:60] = 200
    plain, other = np.full((100, 200), 64, np.uint8), np.full((50, 60), 64, np.uint8)
    with FramesOnOnnx(bundle, graph) as frames:
        there, here = Engine(bundle, Opened(frames, frames=frames)), Engine(bundle, Opened(frames))
        for images, calls in (([spot, plain], 1), ([spot], 1), ([spot, other], 0), ([other], 0), ([], 0)):
            frames.calls = 0
            for found, expected in zip(there.score_batch(images), here.score_batch(images), strict=True):
                assert isinstance(found, EngineOutput)
                assert isinstance(expected, EngineOutput)
                assert found.image_score == pytest.approx(expected.image_score, abs=1.5)  # of a grey level each
                np.testing.assert_allclose(found.anomaly_map, expected.anomaly_map, atol=1.5)
            assert frames.calls == calls
        with pytest.raises(ImageError, match="uint8"):
            there.score(spot.astype(np.float32))


def test_nan_in_the_map_is_never_a_score(path: Path) -> None:
    class Broken(OnnxRuntime):
        def infer(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            score, anomaly_map = super().infer(images)
            anomaly_map[0, 0, 0] = np.nan
            return score, anomaly_map

    bundle = read_bundle(path)
    runtime = Broken(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1)
    engine = Engine(bundle, Opened(runtime))
    assert np.isnan(engine.score(uniform(48, 64)).image_score)
    with pytest.raises(GoldenMismatch):
        engine.check_golden(bundle.golden)


def test_other_scores_than_released_are_refused(path: Path, tmp_path: Path) -> None:
    bundle = read_bundle(path)
    golden = [type(entry)(entry.name, entry.image, entry.image_score + 1.0, entry.map_peak) for entry in bundle.golden]
    write_bundle(tmp_path / "wrong", draft=bundle.manifest, model=bundle.model, golden=golden)
    with pytest.raises(GoldenMismatch, match=r"reference: image_score 0, expected 1 within 0.01"):
        open_engine(tmp_path / "wrong")


def test_closed_engine_says_so(path: Path) -> None:
    engine = open_engine(path)
    engine.close()
    engine.close()
    with pytest.raises(RuntimeFailure, match="closed"):
        engine.score(uniform(48, 64))


def test_unknown_runtime_lists_the_known(path: Path) -> None:
    with pytest.raises(EngineError, match='unknown runtime "magic"; known: auto, onnx'):
        open_engine(path, runtime="magic")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="threads 0"):
        open_engine(path, threads=0)


def test_camera_of_another_shape_is_refused(tmp_path: Path) -> None:
    reference = uniform(48, 64)
    reference[:, :, 1] = 90
    path = write_small_engine(tmp_path / "engine", width=64, height=48, reference=reference)
    open_engine(path, expected_image_shape=(480, 640, 3)).close()
    with pytest.raises(ImageError, match=r"taught on images of 64x48.*gives 640x640 \(1.000\)"):
        open_engine(path, expected_image_shape=(640, 640, 3))
    with pytest.raises(ImageError, match="taught on colour images, the camera gives grey"):
        open_engine(path, expected_image_shape=(480, 640))


@pytest.mark.system
def test_running_an_engine_imports_no_training_code() -> None:
    code = (
        "import sys, engines.engine, station.jobs.teaching\n"
        "found = [m for m in sys.modules if m.split('.')[0] in ('torch', 'onnx') or m.startswith('engines.training')]\n"
        "sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


KINDS = KindsRecord(names=("spot", "hole"), labelled=(5, 5), least_likeness=0.3, left_out=10, right=9, unknown=1)


def test_the_kind_of_the_worst_place_is_named_or_unknown(tmp_path: Path) -> None:
    path = write_small_engine(tmp_path / "engine", width=64, height=48, kinds=KINDS)
    spot, faint = uniform(48, 64), uniform(48, 64)
    spot[8:16, 48:56] = 200  # a likeness of 136 / 255
    faint[8:16, 48:56] = 100
    for runtime in ("onnx", "openvino"):
        with open_engine(path, runtime=runtime, threads=1) as engine:
            assert engine.manifest.kinds == KINDS
            outputs = engine.score_batch([spot, faint])
            assert [each.kind for each in outputs if isinstance(each, EngineOutput)] == ["spot", UNKNOWN_KIND]


def test_an_engine_without_kinds_names_none(path: Path) -> None:
    with open_engine(path, threads=1) as engine:
        assert engine.score(uniform(48, 64)).kind == ""
    assert "kinds" not in (path / "manifest.json").read_text()  # so older software reads it


def test_a_graph_that_tells_other_kinds_apart_than_the_manifest_names_is_refused(path: Path, tmp_path: Path) -> None:
    bundle = read_bundle(path)
    draft = bundle.manifest.model_copy(update={"kinds": KINDS})
    write_bundle(tmp_path / "other", draft=draft, model=bundle.model, golden=bundle.golden)
    with pytest.raises(GoldenMismatch, match="knows 0 kinds of defects, its manifest names 2"):
        open_engine(tmp_path / "other", threads=1)
