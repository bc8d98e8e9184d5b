"""What teaching makes of bad input: a clear error and nothing written, or a warning. With a detector that is quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from engines.bundle.manifest import InputSpec, Manifest
from engines.bundle.reading import read_bundle
from engines.detectors.backbones.loading import DEFAULT_BACKBONE
from engines.detectors.catalogue import DETECTORS
from engines.errors import DatasetError, ExportError, TrainingError
from engines.training.fitting.train import TrainOptions
from engines.training.learn import LearnOptions
from engines.training.refinement.records import RefineOptions
from engines.training.summary import Summary
from engines.training.teach import TeachOptions, teach
from tests.bench.engines.cell_detectors import CellDetector
from tests.bench.engines.pictures import ring, write_rings

GOOD = 40
DIRTY = ("500.png", "501.png", "502.png")
QUICK = TeachOptions(
    detector="cells", threads=1, defect_trials=0, learning=LearnOptions(training=TrainOptions(steps=0))
)


@pytest.fixture(autouse=True)
def _threads() -> None:
    """Teaching sets the number for the whole process."""
    torch.set_num_threads(1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[CellDetector]], None]:
    """Register a detector as "cells"."""

    def register(kind: type[CellDetector]) -> None:
        def factory(spec: InputSpec, backbone: str = DEFAULT_BACKBONE) -> CellDetector:
            return kind()

        monkeypatch.setitem(DETECTORS, "cells", factory)

    register(CellDetector)
    return register


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Good rings and three scratched ones."""
    write_rings(tmp_path / "images", GOOD)
    write_rings(tmp_path / "images", len(DIRTY), first_seed=500, scratch=True)
    return tmp_path / "images"


def run(images: Path, options: TeachOptions = QUICK, name: str = "engine") -> tuple[Manifest, Summary]:
    return teach(images, images.parent / name, options, lambda *_: None)


def refuse(images: Path, error: type[Exception], message: str, options: TeachOptions = QUICK) -> None:
    """Teaching ends in this error and leaves nothing."""
    before = sorted(path.name for path in images.parent.iterdir())
    with pytest.raises(error, match=message):
        run(images, options)
    assert sorted(path.name for path in images.parent.iterdir()) == before


pytestmark = [pytest.mark.system, pytest.mark.usefixtures("quick")]


def test_no_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "none", DatasetError, "none.*No such file or directory")


@pytest.mark.parametrize("count", [0, 1, 19])
def test_too_few_images(tmp_path: Path, count: int) -> None:
    write_rings(tmp_path / "images", count)
    refuse(tmp_path / "images", DatasetError, f"has {count} images .*; teaching needs at least 20")


def test_the_same_image_again_and_again(tmp_path: Path) -> None:
    write_rings(tmp_path / "images", 1)
    for index in range(1, 30):
        (tmp_path / "images" / f"{index:03}.png").write_bytes((tmp_path / "images" / "000.png").read_bytes())
    refuse(tmp_path / "images", DatasetError, "only 1 of the 30 images")


def test_an_image_that_cannot_be_decoded(images: Path) -> None:
    (images / "broken.png").write_bytes(b"x")
    refuse(images, DatasetError, r"1 of 44 images .* cannot be used: broken\.png: cannot be decoded")


@pytest.mark.parametrize("field", ["known_good", "known_bad", "veto"])
def test_what_names_no_image(images: Path, field: str) -> None:
    names = images.parent / "names.txt"
    options: dict[str, Any] = {field: names}
    what = field.replace("_", "-").removesuffix("-file")
    for content, message in (
        (b"000.png\nnone.png\n", rf"{what} file .* no image of the data set is called 'none\.png'"),
        (b"\xff\xfe\xff", "not UTF-8"),
        (None, rf"{what} file .* No such file"),
    ):
        if content is None:
            names.unlink()
        else:
            names.write_bytes(content)
        refuse(images, TrainingError, message, replace(QUICK, **options))


def test_known_as_good_and_bad_at_once(images: Path) -> None:
    names = images.parent / "names.txt"
    names.write_text("000.png\n")
    refuse(images, TrainingError, "known-good and known-bad at once", replace(QUICK, known_good=names, known_bad=names))


def test_hardly_anything_that_is_not_known_bad(images: Path) -> None:
    names = images.parent / "names.txt"
    names.write_text("\n".join(sorted(path.name for path in images.iterdir())[:-4]))
    refuse(images, TrainingError, "images|left", replace(QUICK, known_bad=names))


def test_options_are_refused_before_the_work(images: Path, tmp_path: Path) -> None:
    learning = QUICK.learning
    steps: list[str] = []
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    budget = replace(learning, false_reject_budget=0.9)
    factor = replace(learning, refinement=RefineOptions(factor=1.0))
    for output, options, message in (
        ("new", replace(QUICK, learning=budget), r"budget 0.9: allowed is above 0 and at most 0.2"),
        ("new", replace(QUICK, learning=factor), r"lambda 1.0: must be above 1"),
        ("new", replace(QUICK, threads=0), r"threads 0: at least 1"),
        ("new", replace(QUICK, detector="magic"), r'unknown detector "magic"; known: cells, .*, spatial'),
        ("used", QUICK, r"exists already; choose another directory"),
    ):
        with pytest.raises(TrainingError, match=message):
            teach(images, tmp_path / output, options, lambda step, *_: steps.append(step))
    assert steps == []
    assert not (tmp_path / "new").exists()


class NanDetector(CellDetector):
    def features(self, images: Tensor) -> dict[str, Tensor]:
        return {"cells": super().features(images)["cells"] / 0 * 0}


class OverflowingDetector(CellDetector):
    """Beyond half precision."""

    def features(self, images: Tensor) -> dict[str, Tensor]:
        return {"cells": 1e4 * super().features(images)["cells"]}


class OtherGraphDetector(CellDetector):
    """What is exported is not what was trained."""

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if torch.onnx.is_in_onnx_export():
            image = image // 2
        return super().forward(image)


def test_features_that_are_not_finite(images: Path, quick: Callable[[type[CellDetector]], None]) -> None:
    quick(NanDetector)
    refuse(images, TrainingError, r"features cells of 000\.png\.\.007\.png are not finite")


def test_features_beyond_the_precision_of_the_cache(images: Path, quick: Callable[[type[CellDetector]], None]) -> None:
    quick(OverflowingDetector)
    refuse(images, TrainingError, "are not finite")


def test_an_exported_graph_that_computes_something_else(
    images: Path, quick: Callable[[type[CellDetector]], None]
) -> None:
    quick(OtherGraphDetector)
    refuse(images, ExportError, "differ")


def test_an_output_that_cannot_be_written(images: Path) -> None:
    (images.parent / "engine").touch()
    refuse(images, TrainingError, "exists already")


def test_much_dirt_does_not_go_unnoticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_rings(tmp_path / "images", 24)
    for seed in range(700, 712):
        image = ring(seed)
        x, y = rng.integers(0, 120, 2)
        image[y : y + 40, x : x + 40] = rng.integers(0, 256, 3)
        cv2.imwrite(str(tmp_path / "images" / f"{seed}.png"), image)
    steps: list[str] = []
    _, summary = teach(tmp_path / "images", tmp_path / "engine", QUICK, lambda step, *_: steps.append(step))
    said = [step for step in dict.fromkeys(steps) if not step.startswith("expected: ")]
    assert said == ["images", "locate", "features", "refine", "train", "pictures", "export"]
    assert any("do not look like the others" in warning for warning in summary.warnings)
    assert summary.dirt_share > 0.2


def test_dirt_leaves_a_veto_brings_it_back_and_known_good_stays(images: Path) -> None:
    _, first = run(images)
    assert set(DIRTY) <= set(first.removed)
    veto, good, bad = (images.parent / f"{name}.txt" for name in ("veto", "good", "bad"))
    veto.write_text(f"# back\n{DIRTY[0]}\n")
    good.write_text(f"{DIRTY[1]}\n")
    bad.write_text(f"{DIRTY[2]}\n")
    manifest, second = run(images, replace(QUICK, veto=veto, known_good=good, known_bad=bad), "second")
    assert not {DIRTY[0], DIRTY[1]} & set(second.removed)
    assert second.removed[0] == DIRTY[2]
    assert any("known-good images look like outliers" in warning for warning in second.warnings)
    assert manifest.training.removed_count == len(second.removed)


def test_a_veto_overrules_known_bad(images: Path) -> None:
    names, veto = images.parent / "bad.txt", images.parent / "veto.txt"
    names.write_text("000.png\n001.png\n")
    veto.write_text("001.png\n")
    _, summary = run(images, replace(QUICK, known_bad=names, veto=veto))
    assert summary.removed[0] == "000.png"
    assert "001.png" not in summary.removed


@pytest.mark.parametrize("method", ["auto", "irp", "osr", "none"])
def test_every_refinement_gives_the_same_engine_twice(images: Path, method: str) -> None:
    refinement = RefineOptions(method)
    options = replace(QUICK, learning=replace(QUICK.learning, refinement=refinement), cache=images.parent / "cache")
    (first, summary), (second, _) = (run(images, options, name) for name in ("a", "b"))
    assert first.training == second.training
    assert first.calibration == second.calibration
    assert read_bundle(images.parent / "a").manifest.engine_id == first.engine_id
    assert bool(summary.removed) is (method != "none")
