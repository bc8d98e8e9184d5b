"""What comes through drivers: image files, Modbus requests, frames of a camera."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.fuzz.mutations import EDGES, mutated
from benchmarks.fuzz.target import SHARED_MEMORY, Broken, Try
from drivers.camera.open import open_camera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import Camera
from drivers.camera.settings import CameraSettings
from drivers.camera.simtl import Scene
from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.reading import MAX_AREA_PX, decode
from tests.bench.cameras import LIES_BYTES, can_lie, lies_about
from tests.bench.clients import RawClient
from tests.bench.modbus_mutants import is_legal_write, seed_pdus
from tests.bench.modbus_mutants import mutated as mutated_pdu
from tests.bench.small_station import SmallStation

# ---- images ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def images() -> Iterator[Try]:
    """Files of all formats that are read, changed anywhere."""
    cv2.setNumThreads(1)
    seeds = _seed_images()

    def one(rng: random.Random) -> str:
        try:
            decoded = decode(mutated(rng.choice(seeds), rng))
        except ImageUnreadable as problem:
            str(problem).encode()
            return "refused"
        pixels = decoded.pixels
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[0] * pixels.shape[1] > MAX_AREA_PX:
            raise Broken(f"{pixels.dtype} {pixels.shape}")
        int(pixels.max())
        return "taken"

    yield one


def _seed_images() -> list[bytes]:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (24, 32), np.uint8)
    colour = rng.integers(0, 256, (24, 32, 3), np.uint8)
    clear = rng.integers(0, 256, (24, 32, 4), np.uint8)
    seeds = []
    for suffix in (".png", ".jpg", ".bmp", ".tiff", ".webp"):
        seeds += [cv2.imencode(suffix, pixels)[1].tobytes() for pixels in (grey, colour)]
    seeds += [cv2.imencode(suffix, clear)[1].tobytes() for suffix in (".png", ".tiff", ".webp")]
    seeds += [cv2.imencode(".png", grey.astype(np.uint16) * 257)[1].tobytes()]
    seeds += [cv2.imencode(".pgm", grey)[1].tobytes(), cv2.imencode(".ppm", colour)[1].tobytes()]
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    jpeg = seeds[2]
    seeds.append(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
    return seeds


# ---- Modbus ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def modbus() -> Iterator[Try]:
    """Requests that must not change anything, to the station's server with its handshake; every one has a reply."""
    with SmallStation() as station, RawClient(station.port, 5.0) as client:
        seeds = seed_pdus()

        def one(rng: random.Random) -> str:
            pdu = mutated_pdu(rng.choice(seeds), rng)
            if is_legal_write(pdu):
                return "would be legal"
            before = len(station.requests)
            reply = client.ask(pdu)
            if len(station.requests) != before:
                raise Broken(f"{pdu.hex()} made the station do something")
            return "refused" if reply[0] & 0x80 else "answered"

        yield one


# ---- frames of a camera ---------------------------------------------------------------------------------------------

_TOLD_OF_A_FRAME = {
    "TIMESTAMP": 3, "IS_INCOMPLETE": 7, "SIZE_FILLED": 9, "WIDTH": 10, "HEIGHT": 11, "XOFFSET": 12, "YOFFSET": 13,
    "XPADDING": 14, "YPADDING": 15, "FRAMEID": 16, "IMAGEPRESENT": 17, "IMAGEOFFSET": 18, "PAYLOADTYPE": 19,
    "PIXELFORMAT": 20, "PIXELFORMAT_NAMESPACE": 21, "DELIVERED_IMAGEHEIGHT": 22, "DELIVERED_CHUNKPAYLOADSIZE": 23,
    "CHUNKLAYOUTID": 24, "PIXEL_ENDIANNESS": 26, "DATA_SIZE": 27, "TIMESTAMP_NS": 28, "DATA_LARGER_THAN_BUFFER": 29,
    "CONTAINS_CHUNKDATA": 30,
}  # fmt: skip
"""BUFFER_INFO_CMD of GenTL 1.5. Where the memory is and how much was announced is not in it: the station says that."""
_PIXEL_FORMATS = (
    0x01080001, 0x01100003, 0x01100005, 0x01100007, 0x010C0006, 0x010C0047, 0x02180014, 0x02180015, 0x01080009,
    0x0108000B, 0x02100032, 0x81080001, 0x01380001, 0x020C001E, 0, 0xFFFF_FFFF, 0x010A0046, 0x010C0004, 0x01100025,
    0x0110000D, 0x010A0058, 0x010C0059, 0x010C0027, 0x010C002B, 0x0110002F,
)  # fmt: skip
_SCENE_WIDTH, _SCENE_HEIGHT = 64, 48
_CHUNK_BYTES = 16
_FRAME_BYTES = 2 * _SCENE_WIDTH * _SCENE_HEIGHT + _CHUNK_BYTES


@contextlib.contextmanager
def gentl() -> Iterator[Try]:
    """What a producer says of its buffers: sizes, formats, kinds of payload that do not fit, or nothing at all."""
    if not can_lie():
        raise RuntimeError("the software camera is older than its source: python setup.py build_ext --inplace")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHARED_MEMORY) as name:
        lies = Path(name) / "lies"
        lies.write_bytes(bytes(LIES_BYTES))
        with Scene(Path(name) / "cam", _SCENE_WIDTH, _SCENE_HEIGHT, 1) as scene:
            scene.show(np.full((_SCENE_HEIGHT, _SCENE_WIDTH), 77, np.uint8), 1)
            with contextlib.ExitStack() as stack, lies.open("r+b") as file:
                before = dict(os.environ)
                stack.callback(os.environ.update, before)
                stack.callback(os.environ.clear)
                os.environ.update(scene.environment() | {"SIMTL_LIES": str(lies)})
                told = stack.enter_context(mmap.mmap(file.fileno(), LIES_BYTES))
                camera = stack.enter_context(_camera())

                def one(rng: random.Random) -> str:
                    commands = rng.sample(list(_TOLD_OF_A_FRAME.values()), rng.randint(1, 5))
                    said = {command: None if rng.random() < 0.15 else _lie(command, rng) for command in commands}
                    told[:] = lies_about(said)
                    camera.trigger()
                    frame = camera.grab(5000)
                    told[:] = bytes(len(told))
                    if frame is None:
                        raise Broken(f"no frame came: {said}")
                    return _checked(frame.pixels, said.get(_TOLD_OF_A_FRAME["SIZE_FILLED"]))

                yield one


@contextlib.contextmanager
def _camera() -> Iterator[Camera]:
    settings = CameraSettings(
        producer=producer_from_name("simtl"),
        pixel_format="Mono16",  # its frames have room for all formats of one value a pixel
        trigger="software",
        exposure_time_us=10.0,
    )
    with open_camera(settings) as camera:
        camera.start()
        yield camera


def _lie(command: int, rng: random.Random) -> int:
    if command == _TOLD_OF_A_FRAME["PIXELFORMAT"]:
        return rng.choice(_PIXEL_FORMATS)
    if command == _TOLD_OF_A_FRAME["PAYLOADTYPE"]:
        return rng.randrange(16)
    sizes = (_SCENE_WIDTH, _SCENE_HEIGHT, _SCENE_WIDTH * _SCENE_HEIGHT)
    return rng.choice((*EDGES, *(size + by for size in sizes for by in (-1, 0, 1)), (1 << 64) - 1, rng.randrange(5000)))


def _checked(pixels: NDArray[np.uint8], filled: int | None) -> str:
    """Reads all pixels: memory that is not there ends the process. `filled`: as the producer said, if it lied."""
    if pixels.size == 0:
        return "no pixels"
    values = pixels.shape[0] * pixels.shape[1]  # each has at least a byte
    if filled is not None and filled < values:
        raise Broken(f"{pixels.shape} of {filled} bytes: the rest is of an earlier frame")
    if pixels.dtype != np.uint8 or values > _FRAME_BYTES:
        raise Broken(f"{pixels.dtype} {pixels.shape} of a frame of {_SCENE_WIDTH} x {_SCENE_HEIGHT} px")
    int(pixels.max())
    return "pixels"
