"""What every runtime on a CPU must do: the same suite for ONNX Runtime and OpenVINO, on real graphs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines.bundle.reading import Bundle, read_bundle
from engines.bundle.writing import write_bundle
from engines.engine import open_engine
from engines.errors import ParityRefused, RuntimeFailure
from engines.runtimes.names import Asked
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.opening import ON_PROCESSOR
from engines.runtimes.openvino import OpenVinoRuntime
from engines.runtimes.protocol import Runtime
from tests.bench.engines.small_engine import small_model, write_small_engine

HEIGHT, WIDTH = 48, 64

Open = Callable[[Bundle], Runtime]
BARE: dict[str, Open] = {
    "onnx": lambda bundle: OnnxRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1),
    "openvino": lambda bundle: OpenVinoRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1),
}
every_runtime = pytest.mark.parametrize("name", sorted(BARE))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    reference = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT, reference=reference)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def with_model(path: Path, target: Path, model: bytes) -> Path:
    """The engine in `path` with another graph, its golden scores as they were."""
    bundle = read_bundle(path)
    write_bundle(target, draft=bundle.manifest, model=model, golden=bundle.golden)
    return target


@every_runtime
def test_shapes_types_and_values(name: Asked, path: Path) -> None:
    bundle = read_bundle(path)
    with BARE[name](bundle) as runtime, BARE["onnx"](bundle) as reference:
        scores, maps = runtime.infer(images(3))
        expected_scores, expected_maps = reference.infer(images(3))
    assert (scores.dtype, scores.shape) == (np.float32, (3,))
    assert (maps.dtype, maps.shape) == (np.float32, (3, HEIGHT // 8, WIDTH // 8))
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-5)


@every_runtime
def test_together_is_as_one_by_one(name: Asked, path: Path) -> None:
    with BARE[name](read_bundle(path)) as runtime:
        scores, maps = runtime.infer(images(4))
        for index, image in enumerate(images(4)):
            alone_scores, alone_maps = runtime.infer(image[np.newaxis])
            np.testing.assert_allclose(alone_scores[0], scores[index], rtol=1e-5)
            np.testing.assert_allclose(alone_maps[0], maps[index], rtol=1e-5)


@every_runtime
def test_a_result_stays_when_the_next_image_is_scored(name: Asked, path: Path) -> None:
    with BARE[name](read_bundle(path)) as runtime:
        scores, maps = runtime.infer(images(2)[:1])
        kept = scores.copy(), maps.copy()
        runtime.infer(images(2)[1:])
        assert np.array_equal(scores, kept[0])
        assert np.array_equal(maps, kept[1])


@every_runtime
def test_every_runtime_opens_an_engine_with_its_golden_images(name: Asked, path: Path) -> None:
    with open_engine(path, runtime=name, threads=2) as engine:
        assert engine.score(images(1)[0]).image_score > 0
    assert set(BARE) == set(ON_PROCESSOR)


@every_runtime
def test_model_of_another_size_is_refused(name: Asked, path: Path, tmp_path: Path) -> None:
    mixed = with_model(path, tmp_path / "mixed", small_model(np.zeros((HEIGHT, 32, 3), np.uint8)))
    with pytest.raises(RuntimeFailure, match=r"\[48, 32, 3\].*the manifest says.*\[48, 64, 3\]"):
        open_engine(mixed, runtime=name)


@every_runtime
def test_what_is_no_model_is_refused(name: Asked, path: Path, tmp_path: Path) -> None:
    empty = with_model(path, tmp_path / "empty", b"\x08\x08")  # a protocol buffer, and no graph
    with pytest.raises(RuntimeFailure, match="cannot load the model"):
        open_engine(empty, runtime=name)


@every_runtime
def test_a_failing_run_says_on_what(name: Asked, path: Path) -> None:
    with (
        BARE[name](read_bundle(path)) as runtime,
        pytest.raises(RuntimeFailure, match=r"failed on input \(1, 48, 63, 3\) uint8"),
    ):
        runtime.infer(np.zeros((1, HEIGHT, WIDTH - 1, 3), np.uint8))


@every_runtime
def test_closed_says_so(name: Asked, path: Path) -> None:
    runtime = BARE[name](read_bundle(path))
    runtime.close()
    runtime.close()
    with pytest.raises(RuntimeFailure, match="closed"):
        runtime.infer(images(1))


@pytest.mark.system
@every_runtime
def test_nothing_is_sent_home(name: Asked, path: Path, tmp_path: Path) -> None:
    """Telemetry keeps files in the temporary or the home folder as soon as it is initialised."""
    temporary, home = tmp_path / "tmp", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()
    code = "import sys, pathlib, engines.engine as e; e.open_engine(pathlib.Path(sys.argv[1]), runtime=sys.argv[2])"
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", code, str(path), name]
    environment |= {"TMPDIR": str(temporary), "HOME": str(home)}
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert list(temporary.iterdir()) == []
    assert list(home.iterdir()) == []


def test_openvino_computes_in_float32(path: Path) -> None:
    bundle = read_bundle(path)
    with OpenVinoRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1) as runtime:
        assert runtime.name.startswith("OpenVINO 20")
        assert runtime.name.endswith(" float32")


def test_openvino_that_computes_something_else_is_refused_with_the_numbers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real subclass whose scores are 8 grey levels off, a fifth of the way to the limit."""

    class Off(OpenVinoRuntime):
        def infer(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            scores, maps = super().infer(images)
            return scores + 8.0, maps

    monkeypatch.setattr("engines.runtimes.openvino.OpenVinoRuntime", Off)
    with pytest.raises(
        ParityRefused, match=r"OpenVINO .* differs .* a score by 8, .*set \[engine\] runtime"
    ) as refused:
        open_engine(path, runtime="openvino")
    assert refused.value.report.max_score_difference == pytest.approx(8.0, abs=1e-3)
    assert not refused.value.report.passed


@pytest.mark.system
def test_without_openvino_it_is_said_what_to_do(path: Path) -> None:
    code = (
        "import sys, pathlib, engines.engine as e\n"
        "sys.modules['openvino'] = None\n"  # what Python itself does for a module that must not be imported
        "e.open_engine(pathlib.Path(sys.argv[1]), runtime='openvino')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert 'runtime "openvino" is not installed' in done.stderr
    assert 'set [engine] runtime = "onnx"' in done.stderr
