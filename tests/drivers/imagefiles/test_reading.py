"""One reader: what an image file shows, whatever program saved it, and why a file is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.camera.images import read_image as of_camera
from drivers.camera.protocol import CameraUnreadable
from drivers.imagefiles.header import ImageUnreadable, read_header
from drivers.imagefiles.listing import list_images
from drivers.imagefiles.reading import MAX_SIDE_PX, decode, read
from engines.errors import DatasetError
from engines.training.images.dataset import read_image as of_teaching
from station.simulation.parts.pictures import ImageFolderError
from station.simulation.parts.pictures import read_image as of_demo

RNG = np.random.default_rng(4)
SMOOTH = cv2.resize(RNG.integers(0, 256, (6, 8, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
"""BGR, (48, 64, 3)."""
FORMATS = (".png", ".jpg", ".bmp", ".tif", ".webp", ".ppm")


def encoded(pixels: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, colour: int, rows: bytes, *extra: bytes, bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def exif(orientation: int, *, order: str = "<") -> bytes:
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def turned_jpeg(orientation: int, *, order: str = "<") -> bytes:
    whole = encoded(SMOOTH, ".jpg")
    block = b"Exif\0\0" + exif(orientation, order=order)
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + whole[2:]


def tiff(*pages: np.ndarray, orientation: int = 1, order: str = "<") -> bytes:
    """Grey pages without compression."""
    out = io.BytesIO((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8))
    for number, page in enumerate(pages):
        out.seek(0, io.SEEK_END)
        start = out.tell()
        height, width = page.shape
        tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 0), (274, orientation), (277, 1)]
        tags += [(278, height), (279, width * height)]
        pixels_at = start + 2 + 12 * len(tags) + 4
        out.write(struct.pack(order + "H", len(tags)))
        for tag, value in tags:
            found = pixels_at if tag == 273 else value
            kind = 4 if tag in (273, 279) else 3
            out.write(struct.pack(order + "HHI", tag, kind, 1))
            out.write(struct.pack(order + "I", found) if kind == 4 else struct.pack(order + "HH", found, 0))
        last = number + 1 == len(pages)
        out.write(struct.pack(order + "I", 0 if last else pixels_at + page.size))
        out.write(page.tobytes())
    return out.getvalue()


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_its_size_and_colours(suffix: str) -> None:
    data = encoded(SMOOTH, suffix)
    header = read_header(data)
    assert (header.width, header.height, header.orientation, header.pages) == (64, 48, 1, 1)
    found = decode(data).pixels
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - SMOOTH[:, :, ::-1]).mean() < 6
    if suffix != ".webp":
        grey = np.ascontiguousarray(SMOOTH[:, :, 0])
        assert decode(encoded(grey, suffix if suffix != ".ppm" else ".pgm")).pixels.ndim == 2


TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: np.rot90(np.fliplr(p)),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(np.fliplr(p), -1),
    8: np.rot90,
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", TURNED)
def test_an_image_that_is_stored_turned_is_seen_upright_in_every_format(orientation: int, order: str) -> None:
    stored = decode(encoded(SMOOTH, ".jpg")).pixels
    found = decode(turned_jpeg(orientation, order=order))
    assert np.array_equal(found.pixels, TURNED[orientation](stored))
    assert found.turned == (orientation != 1)
    grey = np.ascontiguousarray(SMOOTH[:, :, 1])
    expected = TURNED[orientation](grey)
    assert np.array_equal(decode(tiff(grey, orientation=orientation, order=order)).pixels, expected)
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    as_png = png(64, 48, 0, rows, chunk(b"eXIf", exif(orientation, order=order)))
    assert np.array_equal(decode(as_png).pixels, expected)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_refused(suffix: str, share: float) -> None:
    """Half a JPEG is a good picture to some decoders."""
    data = encoded(SMOOTH, suffix)
    with pytest.raises(ImageUnreadable, match="cannot be decoded"):
        decode(data[: int(share * len(data))])


def test_a_byte_that_fell_over_in_a_png_is_refused() -> None:
    data = bytearray(encoded(SMOOTH, ".png"))
    data[len(data) // 2] ^= 1
    with pytest.raises(ImageUnreadable, match="checksum"):
        decode(bytes(data))


def test_what_follows_the_end_of_an_image_does_not_matter() -> None:
    assert decode(encoded(SMOOTH, ".jpg") + b"a second picture").pixels.shape == (48, 64, 3)


def test_palette_and_transparency_of_grey_are_grey() -> None:
    rows = b"".join(b"\0" + bytes(range(8)) for _ in range(4))
    palette = b"".join(bytes([30 * index] * 3) for index in range(8))
    grey = decode(png(8, 4, 3, rows, chunk(b"PLTE", palette))).pixels
    assert grey.tolist() == [[30 * index for index in range(8)]] * 4
    coloured = decode(png(8, 4, 3, rows, chunk(b"PLTE", palette[:-3] + b"\xff\0\0"))).pixels
    assert coloured.shape == (4, 8, 3)
    assert coloured[0, 7].tolist() == [255, 0, 0]
    row = b"\0" + bytes(value for grey_value in range(8) for value in (grey_value, 255))
    assert decode(png(8, 4, 4, row * 4)).pixels.tolist() == [list(range(8))] * 4


def test_the_pages_of_a_tiff_are_counted_and_the_first_is_seen() -> None:
    one, two = (RNG.integers(0, 256, (5, 7), np.uint8) for _ in range(2))
    found = decode(tiff(one, two, two))
    assert found.pages == 3
    assert np.array_equal(found.pixels, one)


@pytest.mark.parametrize(
    "data",
    [
        png(32_000, 32_000, 2, b"\0"),
        png(MAX_SIDE_PX + 1, 1, 0, b"\0"),
        png(16_000, 16_000, 0, b"\0"),
        png(0, 5, 0, b"\0"),
        b"P5 32000 9 255\n" + bytes(32000 * 9),
    ],
)
def test_a_size_that_is_too_large_is_refused_before_anything_is_decoded(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageUnreadable, match="px; allowed are 16384 px a side"):
        decode(data)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"GIF89a", b"P3 1 1 255 1 1 1", b"\xff\xd8\xff", b"BM", b"RIFF1234WAVE"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(ImageUnreadable, match="cannot be decoded"):
        decode(data)


def test_16_bit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(encoded(SMOOTH.astype(np.uint16), ".png"))
    with pytest.raises(ImageUnreadable, match=r"16 bit per channel \(uint16\)"):
        read(tmp_path / "deep.png")


@settings(max_examples=300)
@given(
    suffix=st.sampled_from(FORMATS),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 300),
)
def test_whatever_happened_to_a_file_it_is_an_image_or_refused(
    suffix: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(encoded(SMOOTH, suffix))
    for at, byte in changes:
        data[at % len(data)] = byte
    del data[len(data) - cut % len(data) :]
    try:
        pixels = decode(bytes(data)).pixels
    except ImageUnreadable:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim in (2, 3)


def test_hidden_files_and_sub_folders_are_said_and_not_taken(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.tiff", "._a.tiff", ".DS_Store", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("lot2", "__MACOSX"):
        (tmp_path / name).mkdir()
    found = list_images(tmp_path)
    assert [path.name for path in found.files] == ["a.tiff", "b.PNG"]
    assert found.notes == (
        f"4 hidden files are left out: {', '.join(found.hidden)}",
        "images in 1 sub-folders are not taken: lot2",
    )
    assert sorted(found.hidden) == sorted(["._a.tiff", ".DS_Store", "Thumbs.db", "__MACOSX"])


def test_everybody_reads_the_same(tmp_path: Path) -> None:
    """Teaching, the camera of a folder and the demo."""
    (tmp_path / "phone.jpg").write_bytes(turned_jpeg(6))
    expected = read(tmp_path / "phone.jpg").pixels
    assert expected.shape == (64, 48, 3)
    for reader in (of_teaching, of_camera, of_demo):
        assert np.array_equal(reader(tmp_path / "phone.jpg"), expected)
    (tmp_path / "cut.jpg").write_bytes(turned_jpeg(1)[:-200])
    for reader, error in ((of_teaching, DatasetError), (of_camera, CameraUnreadable), (of_demo, ImageFolderError)):
        with pytest.raises(error, match=r"cut\.jpg.*cut off"):
            reader(tmp_path / "cut.jpg")
