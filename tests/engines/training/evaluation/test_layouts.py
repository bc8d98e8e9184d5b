"""Published layouts are recognised, with their truth."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engines.errors import DatasetError
from engines.training.evaluation.layouts import open_folder, open_sets
from tests.bench.engines import small_sets


def names(samples: object) -> list[str]:
    return [sample.path.name for sample in samples]  # type: ignore[attr-defined]


def test_mvtec(tmp_path: Path) -> None:
    small_sets.mvtec(tmp_path / "bottle", train=3, good=2, scratched=2, dented=1)
    (found,) = open_folder(tmp_path / "bottle")
    assert (found.name, found.layout) == ("bottle", "MVTec AD")
    assert [len(part) for part in (found.train_good, found.train_defective, found.test_good)] == [3, 0, 2]
    assert [(s.defect, s.mask is not None) for s in found.test_defective] == [
        ("dent", False),
        ("scratch", True),
        ("scratch", True),
    ]
    assert found.samples[:3] == found.train_good
    assert found.samples[-1].path.name == "001.png"


def test_ksdd2_brings_its_own_dirt(tmp_path: Path) -> None:
    (found,) = open_folder(small_sets.ksdd2(tmp_path / "KSDD2"))
    assert found.layout == "KSDD2"
    assert names(found.train_good) == ["20000.png", "20001.png", "20002.png", "20003.png"]
    assert names(found.train_defective) == ["20004.png", "20005.png"]
    assert names(found.test_defective) == ["20003.png", "20004.png"]
    assert all(sample.mask is not None for sample in found.test_defective)


def test_an_image_of_ksdd2_without_mask_is_an_error(tmp_path: Path) -> None:
    folder = small_sets.ksdd2(tmp_path / "KSDD2")
    (folder / "test" / "20001_GT.png").unlink()
    with pytest.raises(DatasetError, match=r"20001\.png.* has no mask"):
        open_folder(folder)


def test_kolektor_learns_the_first_items_and_tests_every_defective_one(tmp_path: Path) -> None:
    (found,) = open_folder(small_sets.kolektor(tmp_path / "KolektorSDD"))
    assert found.layout == "KolektorSDD"
    assert {sample.path.parent.name for sample in found.train_good} == {f"kos{item:02}" for item in range(1, 8)}
    assert len(found.train_good) == 13
    assert len(found.test_good) == 5
    assert [sample.path.parent.name for sample in found.test_defective] == ["kos05", "kos10"]
    assert found.train_defective == ()


def test_visa_takes_the_published_split(tmp_path: Path) -> None:
    (found,) = open_folder(small_sets.visa(tmp_path))
    assert found.layout == "VisA"
    assert names(found.test_good) == ["0003.JPG", "0007.JPG"]
    assert len(found.train_good) == 10
    assert [(s.defect, s.mask is not None) for s in found.test_defective] == [("hole,other", True)] * 3


def test_visa_without_split_file_tests_every_tenth(tmp_path: Path) -> None:
    (found,) = open_folder(small_sets.visa(tmp_path, split_file=False))
    assert names(found.test_good) == ["0000.JPG", "0010.JPG"]
    assert len(found.train_good) == 10


def test_a_folder_of_sets_gives_all_of_them(tmp_path: Path) -> None:
    small_sets.visa(tmp_path, "candle")
    small_sets.mvtec(tmp_path / "bottle", train=1, good=1, scratched=1)
    assert [found.name for found in open_folder(tmp_path)] == ["bottle", "candle"]


def test_same_names_are_distinguished(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        small_sets.mvtec(tmp_path / parent / "bottle", train=1, good=1, scratched=1)
    assert [found.name for found in open_sets([tmp_path / "a", tmp_path / "b"])] == ["a_bottle", "b_bottle"]
    with pytest.raises(DatasetError, match="same name"):
        open_sets([tmp_path / "a", tmp_path / "a"])


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        open_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"no recognised layout; recognised are MVTec AD .*KSDD2 .*VisA"):
        open_folder(tmp_path / "empty")
    folder = small_sets.mvtec(tmp_path / "bottle", train=1, good=1, scratched=1)
    shutil.rmtree(folder / "test" / "scratch")
    with pytest.raises(DatasetError, match="has no defective images to test"):
        open_folder(folder)
