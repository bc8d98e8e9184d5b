"""Features are computed once for each image, whatever set it comes in, and again when what they depend on changes."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.bundle.manifest import InputSpec
from engines.detectors.base import Detector, Features
from engines.errors import DatasetError, TrainingError
from engines.location.location import Location
from engines.training.images import features as cache
from engines.training.images.dataset import Dataset, open_dataset
from engines.training.images.features import CachedFeatures, cached_features, take
from tests.bench.engines.loose_parts import Lie, screw
from tests.bench.engines.pictures import write_rings
from tests.engines.location.test_location import SCREW

SPEC = InputSpec(width=32, height=32)


class MeanDetector(Detector):
    """Features are mean colours; counts the images that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.poison = False

    @property
    def map_size(self) -> tuple[int, int]:
        return 1, 1

    def features(self, images: Tensor) -> dict[str, Tensor]:
        self.seen += len(images)
        mean = images.float().mean(dim=(1, 2))
        return {"mean": mean / 0 if self.poison else mean, "corner": images[:, :2, :2].float()}

    def initialise(self, features: Features, weights: Tensor | None = None) -> None: ...

    def loss(self, features: Features, weights: Tensor | None = None) -> Tensor:
        return torch.zeros(())

    def score(self, features: Features) -> tuple[Tensor, Tensor]:
        return features["mean"][:, 0], features["mean"][:, :1, None]

    def positive(self, image_score: Tensor) -> Tensor:
        return image_score


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    write_rings(tmp_path / "images", 26)
    return open_dataset(tmp_path / "images")


def part(dataset: Dataset, *indices: int) -> Dataset:
    return Dataset(dataset.folder, tuple(dataset.files[index] for index in indices))


def compute(detector: Detector, dataset: Dataset, folder: Path, key: str = "mean", **options: object) -> CachedFeatures:
    return cached_features(
        detector, dataset, SPEC, detector_key=key, folder=folder, on_progress=lambda _done, _total: None, **options  # type: ignore[arg-type]
    )  # fmt: skip


def test_only_new_images_are_computed_and_the_order_is_the_sets(dataset: Dataset, tmp_path: Path) -> None:
    detector, folder = MeanDetector(), tmp_path / "cache"
    first = compute(detector, part(dataset, *range(20)), folder)
    assert detector.seen == 20
    shuffled = (25, 3, 21, 7, 24, 0)
    second = compute(detector, part(dataset, *shuffled), folder)
    assert detector.seen == 23
    assert (second["mean"][[1, 3, 5]] == first["mean"][[3, 7, 0]]).all()
    everything = compute(MeanDetector(), dataset, tmp_path / "other")
    assert (everything["mean"][list(shuffled)] == second["mean"]).all()
    assert everything["corner"].shape == (26, 2, 2, 3)
    assert isinstance(everything["corner"], np.memmap)


def test_another_backbone_input_or_location_is_another_entry(dataset: Dataset, tmp_path: Path) -> None:
    detector, few = MeanDetector(), part(dataset, 0, 1)
    compute(detector, few, tmp_path)
    compute(detector, few, tmp_path)
    assert detector.seen == 2
    compute(detector, few, tmp_path, key="other")
    assert detector.seen == 4
    corner = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))
    for grey in (10, 200):
        location = Location(ignore=(corner,), pictures={"fill": np.full((32, 32, 3), grey, np.uint8)})
        found = compute(detector, few, tmp_path, location=location)
        assert (found["corner"] == grey).all()
    assert detector.seen == 8


def test_a_damaged_entry_is_computed_again(dataset: Dataset, tmp_path: Path) -> None:
    detector, folder = MeanDetector(), tmp_path / "cache"
    good = compute(detector, part(dataset, 0, 1, 2), folder)
    files = sorted(folder.iterdir())
    assert len(files) == 3
    files[0].write_bytes(files[0].read_bytes()[:-30])
    files[1].write_bytes(b"")
    again = compute(detector, part(dataset, 0, 1, 2), folder)
    assert detector.seen == 5
    assert (again["mean"] == good["mean"]).all()


def test_nothing_is_left_behind_but_entries(dataset: Dataset, tmp_path: Path) -> None:
    detector, folder = MeanDetector(), tmp_path / "cache"
    features = compute(detector, dataset, folder)
    assert len(list(folder.iterdir())) == 26
    assert all(file.suffix == ".npz" for file in folder.iterdir())
    with pytest.raises(ValueError, match="read-only"):
        features["mean"][0] = 0
    assert take(features, [2, 0])["mean"].dtype == torch.float32


def test_the_cache_is_bounded(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector, folder = MeanDetector(), tmp_path / "cache"
    compute(detector, part(dataset, *range(10)), folder)
    compute(detector, part(dataset, 4), folder)  # used: the last to go
    size = sum(file.stat().st_size for file in folder.iterdir())
    monkeypatch.setattr(cache, "MAX_CACHE_BYTES", size // 2)
    compute(detector, part(dataset, 20), folder)
    assert len(list(folder.iterdir())) == 6
    seen = detector.seen
    compute(detector, part(dataset, 4, 20), folder)
    assert detector.seen == seen


def test_two_at_once_share_a_cache(dataset: Dataset, tmp_path: Path) -> None:
    results: list[CachedFeatures] = []
    threads = [
        threading.Thread(target=lambda: results.append(compute(MeanDetector(), dataset, tmp_path / "cache")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == 3
    assert all((result["mean"] == results[0]["mean"]).all() for result in results)


def test_progress_ends(dataset: Dataset, tmp_path: Path) -> None:
    for _ in range(2):  # cold and warm
        seen: list[tuple[int, int]] = []
        cached_features(
            MeanDetector(),
            dataset,
            SPEC,
            detector_key="mean",
            folder=tmp_path / "cache",
            on_progress=lambda done, total, seen=seen: seen.append((done, total)),  # type: ignore[misc]
        )
        assert seen[-1] == (26, 26)
        assert seen == sorted(seen)


def test_features_that_are_no_numbers_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    detector = MeanDetector()
    detector.poison = True
    with pytest.raises(TrainingError, match=r"features mean of 000.png..007.png are not finite"):
        compute(detector, dataset, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_image_without_its_part_is_named(dataset: Dataset, tmp_path: Path) -> None:
    spec = SCREW.model_copy(update={"max_area_share": 0.02})
    assert Location(SCREW).locate(screw(Lie())) is not None
    with pytest.raises(DatasetError, match=r"000.png: .*leave the image out"):
        compute(MeanDetector(), dataset, tmp_path / "cache", location=Location(spec))


def test_a_folder_that_cannot_be_written_is_said(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match=r"feature cache .*choose another folder"):
        compute(MeanDetector(), dataset, tmp_path / "file")
