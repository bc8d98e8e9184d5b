"""Teaching from beginning to end, as the station does it: in its own process, on rendered parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from engines.bundle import read_bundle
from engines.detectors.features import load_lite0, weights_file
from engines.detectors.spatial import SpatialDetector
from engines.engine import open_engine
from engines.manifest import InputSpec
from engines.runtimes.onnx import OnnxRuntime
from engines.training.crossfit import FOLDS, fold_of
from engines.training.errors import TrainingError
from engines.training.export import check_parity, export_onnx, map_spec
from engines.training.irp import IrpOptions
from engines.training.teach import TeachOptions
from engines.training.teach import teach as teach_here
from engines.training.train import TrainOptions
from station.teach import TeachError, TeachProgress, TeachResult, teach
from tests.engines.pictures import ring, write_rings

GOOD, DIRTY = 24, 2


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[TeachResult, list[TeachProgress]]:
    """An engine taught on 24 good parts and, by mistake, two scratched ones."""
    folder = tmp_path_factory.mktemp("teach")
    write_rings(folder / "images", GOOD)
    write_rings(folder / "images", DIRTY, first_seed=500, scratch=True)
    seen: list[TeachProgress] = []
    result = teach(folder / "images", folder / "engine", steps=5, on_progress=seen.append)
    return result, seen


def test_new_defects_fail_and_new_good_parts_do_not(taught: tuple[TeachResult, list[TeachProgress]]) -> None:
    result, _ = taught
    with open_engine(result.engine) as engine:
        limits = engine.calibration
        good = [engine.score(ring(seed)).image_score for seed in range(1000, 1010)]
        bad = [engine.score(ring(seed, scratch=True)).image_score for seed in range(2000, 2005)]
    assert min(bad) > limits.reject_score
    assert sum(score > limits.reject_score for score in good) <= 1
    assert limits.review_score < limits.reject_score


def test_the_map_is_hottest_at_the_defect(taught: tuple[TeachResult, list[TeachProgress]]) -> None:
    result, _ = taught
    with open_engine(result.engine) as engine:
        output = engine.score(ring(3000, scratch=True))
    rows, columns = output.anomaly_map.shape
    row, column = np.unravel_index(output.anomaly_map.argmax(), output.anomaly_map.shape)
    assert 0.2 < (row + 0.5) / rows < 0.55  # the scratch goes from (1/3, 1/4) to (1/2, 1/2), (x, y)
    assert 0.28 < (column + 0.5) / columns < 0.55
    assert output.anomaly_map.max() > engine.calibration.pixel_score


def test_refinement_removed_the_dirt(taught: tuple[TeachResult, list[TeachProgress]]) -> None:
    result, _ = taught
    assert set(result.summary["removed"]) == {"500.png", "501.png"}
    manifest = read_bundle(result.engine).manifest
    assert manifest.training.removed_count == DIRTY
    assert manifest.training.image_count == GOOD + DIRTY
    assert manifest.calibration.holdout_count == GOOD
    assert not manifest.training.grey


def test_progress_names_every_step_and_ends_each(taught: tuple[TeachResult, list[TeachProgress]]) -> None:
    result, seen = taught
    assert list(dict.fromkeys(entry.step for entry in seen)) == ["images", "features", "refine", "train", "export"]
    for step in ("images", "features", "refine", "train", "export"):
        last = [entry for entry in seen if entry.step == step][-1]
        assert last.done == last.total
    assert result.engine_id == read_bundle(result.engine).manifest.engine_id
    assert "images 160x160" in result.summary["preprocessing"]


def test_same_images_and_seed_give_the_same_model(taught: tuple[TeachResult, list[TeachProgress]]) -> None:
    result, _ = taught
    images = result.engine.parent / "images"
    options = TeachOptions(training=TrainOptions(steps=5))
    second, _ = teach_here(images, result.engine.parent / "again", options, lambda *_: None)
    first = read_bundle(result.engine).manifest
    assert second.training == first.training
    assert second.calibration.reject_score == pytest.approx(first.calibration.reject_score, abs=1e-4)
    assert [g.image_score for g in second.golden] == pytest.approx([g.image_score for g in first.golden], abs=1e-4)


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engines.training", "--progress", "json", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_bad_images_end_with_code_2_and_write_nothing(tmp_path: Path) -> None:
    write_rings(tmp_path / "images", 20)
    (tmp_path / "images" / "broken.png").write_bytes(b"x")
    done = run_module("--images", str(tmp_path / "images"), "--output", str(tmp_path / "engine"))
    assert done.returncode == 2
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "error"
    assert "broken.png: cannot be decoded" in last["message"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_errors_come_through_to_the_station(tmp_path: Path) -> None:
    write_rings(tmp_path / "images", 5)
    with pytest.raises(TeachError, match="has 5 images"):
        teach(tmp_path / "images", tmp_path / "engine")


def test_a_process_that_dies_without_a_word_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TeachError, match="invalid choice: 'magic'"):
        teach(tmp_path / "images", tmp_path / "engine", detector="magic")


def test_bad_options_are_refused_before_the_work(tmp_path: Path) -> None:
    write_rings(tmp_path / "images", 20)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    new, steps = tmp_path / "new", []
    for output, options, message in (
        (new, TeachOptions(false_reject_budget=0.9), r"budget 0.9: allowed is above 0 and at most 0.2"),
        (new, TeachOptions(refinement=IrpOptions(factor=1.0)), r"lambda 1.0: must be above 1"),
        (new, TeachOptions(threads=0), r"threads 0: at least 1"),
        (new, TeachOptions(detector="magic"), r'unknown detector "magic"; known: spatial'),
        (tmp_path / "used", TeachOptions(), r"exists already; choose another directory"),
    ):
        with pytest.raises(TrainingError, match=message):
            teach_here(tmp_path / "images", output, options, lambda *step: steps.append(step))
    assert steps == []


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    write_rings(tmp_path / "images", 40)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "engines.training", "--images", str(tmp_path / "images")),
            *("--output", str(tmp_path / "engine"), "--progress", "json"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert process.stdout is not None
    deadline = time.monotonic() + 100
    for line in process.stdout:
        assert time.monotonic() < deadline
        if '"features"' in line:
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=60) == 130
    assert "interrupted; nothing was written" in rest
    assert not (tmp_path / "engine").exists()
    assert list(temporary.iterdir()) == []


def test_exported_graph_equals_torch_on_batches() -> None:
    """On a trained head far from its start, with elongated input and more than one image."""
    spec = InputSpec(width=96, height=160)
    detector = SpatialDetector(spec).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 160, 96, 3), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        detector.initialise(detector.features(images))
        for parameter in detector.flows.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    model = export_onnx(detector, spec)
    with OnnxRuntime(model, spec, map_spec(detector), threads=1) as runtime:
        assert check_parity(detector, runtime, images[:3].numpy()) < 1e-3
    operators = {node.op_type for node in onnx.load_from_string(model).graph.node}
    assert not operators & {"If", "Loop", "Scan", "NonZero", "Einsum"}  # static graphs only, for TensorRT


def test_folds_keep_neighbours_together_and_cover_everything() -> None:
    folds = fold_of(200)
    assert sorted(np.bincount(folds).tolist()) == [50] * FOLDS
    assert np.count_nonzero(np.diff(folds)) < 25
    for count in range(20, 60):
        assert set(fold_of(count)) == set(range(FOLDS))


def test_features_equal_those_of_another_implementation() -> None:
    """Folding, padding and taps against the PyPI implementation of the same network."""
    from efficientnet_lite_pytorch import EfficientNet

    reference = EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(torch.load(weights_file(), weights_only=True))
    reference.eval()
    image = torch.as_tensor(cv2.resize(ring(0), (128, 96))).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        x = reference._swish(reference._bn0(reference._conv_stem((image - 127) / 128)))
        outputs = []
        for block in reference._blocks:
            x = block(x)
            outputs.append(x)
        found = load_lite0(("b2", "b10", "b15"))(image)
    for tap, value in found.items():
        assert torch.allclose(value, outputs[int(tap[1:])], atol=1e-3)
