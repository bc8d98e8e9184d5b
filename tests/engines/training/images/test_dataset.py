"""Which images are taken and what is said about those that cannot be."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engines.errors import DatasetError
from engines.training.images.dataset import INPUT_MULTIPLE, MAX_INPUT_AREA_PX, choose_input, open_dataset, read_image
from engines.training.summary import training_record
from tests.bench.engines.pictures import ring, write_rings


def test_mvtec_layout_takes_only_the_good(tmp_path: Path) -> None:
    write_rings(tmp_path / "train" / "good", 21)
    write_rings(tmp_path / "test" / "scratch", 3, scratch=True)
    dataset = open_dataset(tmp_path)
    assert dataset.folder == tmp_path / "train" / "good"
    assert len(dataset.files) == 21
    assert not dataset.files[0].grey


def test_plain_folder_ignores_what_is_no_image(tmp_path: Path) -> None:
    write_rings(tmp_path, 20, colour=False)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    dataset = open_dataset(tmp_path)
    assert len(dataset.files) == 20
    assert dataset.files[0].grey


def test_the_hash_depends_on_the_content(tmp_path: Path) -> None:
    write_rings(tmp_path, 20)
    before = open_dataset(tmp_path).sha256
    assert open_dataset(tmp_path).sha256 == before
    cv2.imwrite(str(tmp_path / "000.png"), ring(99))
    assert open_dataset(tmp_path).sha256 != before


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none.*No such file or directory; expected a folder of images"):
        open_dataset(tmp_path / "none")


def test_too_few(tmp_path: Path) -> None:
    write_rings(tmp_path, 19)
    with pytest.raises(DatasetError, match=r"has 19 images .* at least 20"):
        open_dataset(tmp_path)


def test_the_same_image_again_and_again(tmp_path: Path) -> None:
    write_rings(tmp_path, 1)
    for index in range(1, 30):
        shutil.copy(tmp_path / "000.png", tmp_path / f"{index:03}.png")
    with pytest.raises(DatasetError, match="only 1 of the 30 images"):
        open_dataset(tmp_path)


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    write_rings(tmp_path, 20)
    (tmp_path / "a.png").write_bytes(b"not an image")
    (tmp_path / "b.png").touch()
    cv2.imwrite(str(tmp_path / "c.png"), np.zeros((8, 8), np.uint16))
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path)
    message = str(caught.value)
    for part in ("3 of 23 images", "a.png: cannot be decoded", "b.png: cannot", "c.png: 16 bit", "allowed: 8 bit"):
        assert part in message


def test_transparency_is_dropped_and_colours_are_rgb(tmp_path: Path) -> None:
    bgra = np.zeros((4, 4, 4), np.uint8)
    bgra[:, :, 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), bgra)
    assert (read_image(tmp_path / "red.png") == (255, 0, 0)).all()


def test_damaged_files_are_refused_not_guessed(tmp_path: Path) -> None:
    whole = cv2.imencode(".png", ring(0))[1].tobytes()
    for name, content, message in (
        ("cut.png", whole[: len(whole) // 2], "cannot be decoded"),
        ("text.png", b"", "cannot be decoded"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=rf"{name}: {message}"):
            read_image(tmp_path / name)
    with pytest.raises(DatasetError, match=r"none\.png: cannot be read: No such file or directory"):
        read_image(tmp_path / "none.png")
    cv2.imwrite(str(tmp_path / "float.tiff"), np.zeros((8, 8), np.float32))
    with pytest.raises(DatasetError, match=r"float\.tiff: 32 bit per channel \(float32\)"):
        read_image(tmp_path / "float.tiff")


def test_an_image_whose_header_promises_too_much_is_refused(tmp_path: Path) -> None:
    """A few bytes that would decode to 4 terapixels."""
    header = struct.pack(">IIBBBBB", 2_000_000, 2_000_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "huge.png").write_bytes(png)
    with pytest.raises(DatasetError, match=r"huge\.png: cannot be decoded: cut off"):
        read_image(tmp_path / "huge.png")


def test_a_set_is_decided_by_its_majority_and_the_others_are_named(tmp_path: Path) -> None:
    write_rings(tmp_path, 30, colour=False)
    cv2.imwrite(str(tmp_path / "colour.png"), ring(50))
    height, width = ring(0).shape[:2]
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((height, 2 * width), np.uint8))
    (tmp_path / "._000.png").write_bytes(b"of a Mac")
    (tmp_path / "lot2").mkdir()
    dataset = open_dataset(tmp_path)
    assert dataset.grey
    assert len(dataset.files) == 32
    assert [file.path.name for file in dataset.files if file not in dataset.alike] == ["wide.png"]
    assert dataset.notes == (
        "1 hidden files are left out: ._000.png",
        "images in 1 sub-folders are not taken: lot2",
        "1 of 32 images are colour; the engine is for grey ones, as most are: colour.png",
        "1 of 32 images have another shape than most; those decide what the model sees: wide.png",
    )
    assert choose_input(dataset.sizes) == choose_input([(width, height)])
    record = training_record(dataset, 0)
    assert (record.grey, record.image_count, record.max_aspect) == (True, 32, width / height)


def test_pages_and_turned_images_are_said(tmp_path: Path) -> None:
    write_rings(tmp_path, 20, colour=False)
    pages = [np.full((8, 8), value, np.uint8) for value in (1, 2)]
    assert cv2.imwritemulti(str(tmp_path / "pages.tif"), pages)
    (note,) = [note for note in open_dataset(tmp_path).notes if "pages" in note]
    assert note == "1 of 21 images have several pages, of which the first is taken: pages.tif"


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [
        ((448, 448), 256, 256),
        ((64, 64), 256, 256),
        ((250, 630), 288, 704),
        ((630, 250), 704, 288),
        ((2448, 2048), 320, 256),
        ((4000, 100), 2848, 96),
    ],
)
def test_input_follows_the_aspect(size: tuple[int, int], width: int, height: int) -> None:
    spec = choose_input([size] * 3)
    assert (spec.width, spec.height, spec.fit) == (width, height, "contain")


sizes = st.lists(st.tuples(st.integers(10, 5000), st.integers(10, 5000)), min_size=1, max_size=9)


@given(sizes, st.booleans())
def test_any_sizes_give_an_input_that_the_network_takes_in_bounded_time(
    sizes: list[tuple[int, int]], located: bool
) -> None:
    assume(all(max(size) <= 100 * min(size) for size in sizes))
    spec = choose_input(sizes, located=located)
    assert spec.width % INPUT_MULTIPLE == 0
    assert spec.height % INPUT_MULTIPLE == 0
    assert min(spec.width, spec.height) >= 3 * INPUT_MULTIPLE
    longest = max(max(size) / min(size) for size in sizes)
    if longest < 10:  # beyond, the short side is at its minimum
        assert spec.width * spec.height <= 1.3 * MAX_INPUT_AREA_PX
    if located:
        assert spec.fit == "contain"


def test_images_of_different_shapes_are_stretched_unless_they_were_cut_out() -> None:
    different = [(50, 50), (900, 90), (100, 100)]
    assert choose_input(different).fit == "stretch"
    assert choose_input(different, located=True) == choose_input([(100, 100)])
    nearly_alike = [(100, 100), (104, 100), (100, 102)]
    assert choose_input(nearly_alike).fit == "contain"


def test_images_of_a_line_of_pixels_are_refused_in_words() -> None:
    with pytest.raises(DatasetError):
        choose_input([(1, 1327)] * 3)
