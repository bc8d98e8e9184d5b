"""Data sets with known truth, in the layouts in which they are published."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.imagefiles.listing import is_hidden, list_images
from engines.errors import DatasetError
from engines.training.images.dataset import read_image

RECOGNISED = (
    "MVTec AD (train/good, test/good, test/<defect>, ground_truth/<defect>/<name>_mask.png), "
    "KSDD2 (train/*.png with *_GT.png, test/ likewise), "
    "KolektorSDD (kos01/Part0.jpg with Part0_label.bmp), "
    "VisA (<category>/Data/Images/Normal and Anomaly, Data/Masks/Anomaly), "
    "or a folder of such folders"
)
KOLEKTOR_TRAIN_SHARE = 0.7
"""KolektorSDD comes without a split: the good images of the first 70 % of the items are learned."""
VISA_TEST_EVERY = 10
"""The one-class split of VisA tests a tenth of the normal images; used where its file is missing."""


@dataclass(frozen=True)
class Sample:
    """One image and its truth."""

    path: Path
    defect: str = ""
    """Type of the defect; empty for a good image."""
    mask: Path | None = None
    """Image of the size of `path`, above zero where the defect is; None: not known."""


@dataclass(frozen=True)
class LabelledSet:
    """A data set with its own split."""

    name: str
    folder: Path
    layout: str
    train_good: tuple[Sample, ...]
    train_defective: tuple[Sample, ...]
    """Defective images of the training part, where a set has them: dirt to mix in, never tested."""
    test_good: tuple[Sample, ...]
    test_defective: tuple[Sample, ...]

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All images in a fixed order: the index space of every split and every feature."""
        return self.train_good + self.train_defective + self.test_good + self.test_defective


def open_sets(folders: Iterable[Path]) -> tuple[LabelledSet, ...]:
    """The data sets in these folders; where two have the same name, the name of the folder above is put before.

    Raises:
        DatasetError: a folder does not exist, has no recognised layout, or lacks good or defective images.
    """
    found = [entry for folder in folders for entry in open_folder(folder.resolve())]
    names = [entry.name for entry in found]
    unique = [
        replace(entry, name=f"{entry.folder.parent.name}_{entry.name}") if names.count(entry.name) > 1 else entry
        for entry in found
    ]
    for one, other in itertools.combinations(unique, 2):
        if one.name == other.name:
            raise DatasetError(f'"{one.folder}" and "{other.folder}" have the same name "{one.name}": rename one')
    return tuple(unique)


def open_folder(folder: Path) -> tuple[LabelledSet, ...]:
    """The data set in `folder`, or those in its folders. Raises DatasetError as `open_sets` does."""
    if not folder.is_dir():
        raise DatasetError(f'data set "{folder}": no such folder')
    single = _recognise(folder)
    found = (single,) if single else tuple(filter(None, map(_recognise, _folders(folder))))
    if not found:
        raise DatasetError(f'data set "{folder}" has no recognised layout; recognised are {RECOGNISED}')
    for entry in found:
        for part, count in (
            ("good images to learn from", len(entry.train_good)),
            ("good images to test", len(entry.test_good)),
            ("defective images to test", len(entry.test_defective)),
        ):
            if count == 0:
                raise DatasetError(f'data set "{entry.folder}" ({entry.layout} layout) has no {part}')
    return found


def _recognise(folder: Path) -> LabelledSet | None:
    openers: tuple[tuple[Callable[[Path], bool], Callable[[Path], LabelledSet]], ...] = (
        (lambda path: (path / "train" / "good").is_dir() and (path / "test").is_dir(), _open_mvtec),
        (lambda path: any((path / "train").glob("*_GT.png")) and (path / "test").is_dir(), _open_ksdd2),
        (lambda path: any(path.glob("kos*/Part*_label.bmp")), _open_kolektor),
        (lambda path: (path / "Data" / "Images" / "Normal").is_dir(), _open_visa),
    )
    for matches, open_layout in openers:
        if matches(folder):
            return open_layout(folder)
    return None


def _open_mvtec(folder: Path) -> LabelledSet:
    def defective(part: str) -> tuple[Sample, ...]:
        return tuple(
            Sample(path, kind.name, _mvtec_mask(folder, kind.name, path))
            for kind in _folders(folder / part)
            if kind.name != "good"
            for path in _images(kind)
        )

    return LabelledSet(
        folder.name,
        folder,
        "MVTec AD",
        _good(folder / "train" / "good"),
        defective("train"),
        _good(folder / "test" / "good"),
        defective("test"),
    )


def _mvtec_mask(folder: Path, kind: str, image: Path) -> Path | None:
    masks = folder / "ground_truth" / kind
    candidates = (masks / f"{image.stem}_mask.png", masks / f"{image.stem}.png")
    return next((path for path in candidates if path.is_file()), None)


def _open_ksdd2(folder: Path) -> LabelledSet:
    def part(name: str) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
        images = [path for path in _images(folder / name) if not path.stem.endswith("_GT")]
        return _by_mask((path, path.with_name(f"{path.stem}_GT.png")) for path in images)

    return LabelledSet(folder.name, folder, "KSDD2", *part("train"), *part("test"))


def _open_kolektor(folder: Path) -> LabelledSet:
    items = [path for path in _folders(folder) if path.name.startswith("kos")]
    learned = round(KOLEKTOR_TRAIN_SHARE * len(items))

    def part(chosen: list[Path]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
        images = [path for item in chosen for path in _images(item) if not path.stem.endswith("_label")]
        return _by_mask((path, path.with_name(f"{path.stem}_label.bmp")) for path in images)

    train_good, train_defective = part(items[:learned])
    test_good, test_defective = part(items[learned:])
    # Too few are defective to leave some in the training part: all are tested, or half of them when dirt is mixed in.
    return LabelledSet(folder.name, folder, "KolektorSDD", train_good, (), test_good, train_defective + test_defective)


def _open_visa(folder: Path) -> LabelledSet:
    good, defective = _good(folder / "Data" / "Images" / "Normal"), _images(folder / "Data" / "Images" / "Anomaly")
    kinds = {
        Path(row["image"]).name: row["label"] for row in _rows(folder / "image_anno.csv") if row["label"] != "normal"
    }
    masks = folder / "Data" / "Masks" / "Anomaly"
    tested = {
        Path(row["image"]).name
        for row in _rows(folder.parent / "split_csv" / "1cls.csv")
        if row["object"] == folder.name and row["split"] == "test" and row["label"] == "normal"
    } or {sample.path.name for sample in good[::VISA_TEST_EVERY]}
    return LabelledSet(
        folder.name,
        folder,
        "VisA",
        tuple(sample for sample in good if sample.path.name not in tested),
        (),
        tuple(sample for sample in good if sample.path.name in tested),
        tuple(
            Sample(path, kinds.get(path.name, "anomaly"), mask if mask.is_file() else None)
            for path, mask in ((path, masks / f"{path.stem}.png") for path in defective)
        ),
    )


def _by_mask(pairs: Iterable[tuple[Path, Path]]) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Good and defective samples of images whose mask says which of the two they are."""
    good, defective = [], []
    for path, mask in pairs:
        if not mask.is_file():
            raise DatasetError(f'"{path}" has no mask "{mask.name}"; without it nobody knows whether it is good')
        if read_image(mask).any():
            defective.append(Sample(path, "defect", mask))
        else:
            good.append(Sample(path))
    return tuple(good), tuple(defective)


def _rows(file: Path) -> list[dict[str, str]]:
    """The rows of a table, none when there is no such file."""
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _good(folder: Path) -> tuple[Sample, ...]:
    return tuple(Sample(path) for path in _images(folder))


def _images(folder: Path) -> list[Path]:
    return list(list_images(folder).files) if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))
