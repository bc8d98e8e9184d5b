"""What is fed with mutated input: each target takes one input after the other and says what came of it.

A target returns a word for what it did with the input (`refused`, `taken`, ...). Any exception that leaves it is a
crash: what a reader promises to raise for bad input is caught here by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import mmap
import os
import random
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from benchmarks.fuzz.mutations import EDGES, WORDS, mutated, mutated_text
from drivers.camera.open import open_camera
from drivers.camera.producer import producer_from_name
from drivers.camera.protocol import Camera
from drivers.camera.settings import CameraSettings
from drivers.camera.simtl import Scene
from drivers.imagefiles.header import ImageUnreadable
from drivers.imagefiles.reading import MAX_AREA_PX, decode
from engines.bundle.archive import export_archive, open_archive
from engines.bundle.files import MANIFEST_FILE
from engines.bundle.graph_check import check_self_contained
from engines.bundle.manifest import MODEL_FILE, Manifest
from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from station.configuration.load import ConfigurationError, load
from station.control import MAX_LINE_BYTES, ControlError
from station.daemon.control_server import ControlServer
from tests.bench.cameras import LIES_BYTES, can_lie, lies_about
from tests.bench.clients import RawClient
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.modbus_mutants import is_legal_write, seed_pdus
from tests.bench.modbus_mutants import mutated as mutated_pdu
from tests.bench.places import ROOT
from tests.bench.small_station import SmallStation

Try = Callable[[random.Random], str]
Target = Callable[[], AbstractContextManager[Try]]
SHARED_MEMORY = "/dev/shm"


class Broken(AssertionError):
    """The input did something that no input may do."""


# ---- archives of engines --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def archives() -> Iterator[Try]:
    """Archives that were changed anywhere, or have a changed member in a sound archive with hashes that fit."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHARED_MEMORY) as name:
        folder = Path(name)
        engine = write_small_engine(folder / "engine", width=32, height=32)
        export_archive(engine, folder / "good")
        good = (folder / "good").read_bytes()
        engine_id = read_manifest(engine).engine_id
        members = _members(good)
        file, into = folder / "bad", folder / "into"

        def one(rng: random.Random) -> str:
            kind = rng.randrange(4)
            data = mutated(good, rng) if kind < 2 else _rebuilt(members, rng)
            file.write_bytes(data)
            into.mkdir()
            try:
                if kind == 3:
                    check_self_contained(mutated(members[MODEL_FILE], rng), "model")
                    return "graph looked through"
                with open_archive(file) as archive:
                    archive.digests()
                    archive.unpack(into)
                found = read_manifest(into).engine_id
            except EngineError as problem:
                str(problem).encode()
                return "refused"
            finally:
                shutil.rmtree(into)
            if kind < 2 and found != engine_id:
                raise Broken("a changed archive gave another engine")
            return "taken"

        yield one


def _members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def _rebuilt(members: Mapping[str, bytes], rng: random.Random) -> bytes:
    """The archive with one member changed, and the manifest such that its hashes fit where that can be done."""
    changed = dict(members)
    name = rng.choice(list(members))
    changed[name] = mutated(members[name], rng)
    if name == MANIFEST_FILE and rng.random() < 0.7:
        changed[name] = _with_own_id(_other_values(json.loads(members[name]), rng))
    elif name != MANIFEST_FILE:
        before, now = (hashlib.sha256(content).hexdigest() for content in (members[name], changed[name]))
        text = members[MANIFEST_FILE].decode().replace(before, now)
        changed[MANIFEST_FILE] = _with_own_id(json.loads(text))
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, content in changed.items():
            header = tarfile.TarInfo(member)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return written.getvalue()


def _with_own_id(content: Any) -> bytes:
    try:
        made = Manifest.model_validate(content)
        return json.dumps({**content, "engine_id": made.content_id()}).encode()
    except (ValueError, TypeError):
        return json.dumps(content).encode()


def _other_values(content: Any, rng: random.Random) -> Any:
    """A few values of the manifest are others: at their limits, of another type, gone."""
    for _ in range(rng.randint(1, 3)):
        place = content
        while isinstance(place, dict | list) and place:
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = rng.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.9:
                place = place[key]
                continue
            if rng.random() < 0.15:
                del place[key]
            else:
                place[key] = rng.choice(
                    (
                        None,
                        True,
                        -1,
                        0,
                        1,
                        1e308,
                        float("nan"),
                        1 << 70,
                        "",
                        "x" * 3000,
                        "../x",
                        [],
                        {},
                        [[]],
                        [1e9] * 50,
                    )
                )
            break
    return content


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


# ---- the control socket ---------------------------------------------------------------------------------------------

ASKED = (
    {"command": "status"},
    {"command": "recipe", "recipe": "flange"},
    {"command": "teach", "parts": 60, "output": "engine", "seed": 1, "false_reject_budget": 0.01},
    {"command": "challenge", "action": "reset", "who": "anna", "why": "x"},
    {"command": "reload"},
)


@contextlib.contextmanager
def control() -> Iterator[Try]:
    """Lines to the control socket, over the socket; the same server, and handlers that refuse as the daemon's do."""
    structlog.configure(processors=[_drop])
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHARED_MEMORY) as name:
        path = Path(name) / "control.sock"
        server = ControlServer(path, {str(asked["command"]): _taken for asked in ASKED})
        server.start()
        try:
            yield lambda rng: _asked(path, _line(rng))
        finally:
            server.close()


def _taken(request: Mapping[str, Any]) -> dict[str, Any]:
    if len(request) > 3:
        raise ControlError(f"too much: {sorted(request)!r}")
    return {"got": {name: value for name, value in request.items() if name != "user"}}


def _line(rng: random.Random) -> bytes:
    asked = json.dumps(rng.choice(ASKED)).encode()
    match rng.randrange(12):
        case 0:
            return b"[" * rng.randrange(1, 70_000)
        case 1:
            return rng.randbytes(rng.randrange(300))
        case 2:
            return json.dumps(
                {"command": rng.choice((None, 1, [], {}, "status")), "recipe": rng.choice(WORDS).decode("latin-1")}
            ).encode()
        case _:
            return mutated(asked, rng)


def _asked(path: Path, line: bytes) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5.0)
        client.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(line)
            client.shutdown(socket.SHUT_WR)
            reply = b""
            while piece := client.recv(65536):
                reply += piece
            if not reply and len(line) < MAX_LINE_BYTES:
                raise Broken("closed without a reply")
            answer: dict[str, Any] = json.loads(reply) if reply else {"ok": False, "error": "closed"}
            if not answer["ok"] and "Error: " in answer["error"]:
                raise Broken(answer["error"])
            return "taken" if answer["ok"] else "refused"
    return "closed"


def _drop(_logger: object, _method: str, _event: object) -> Any:
    raise structlog.DropEvent


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


# ---- configuration --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def configuration() -> Iterator[Try]:
    """station.toml and a recipe with other lines and values, read as a start or a reload reads them."""
    stations = [
        (ROOT / "deploy" / "station.toml").read_text(),
        '[cameras.top]\nproducer = "simtl"\nexposure_time_us = 500.0\n\n[engine]\npath = "engine"\n\n[decision]\n'
        'pixel_size_mm = 0.1\nmin_defect_area_mm2 = 0.5\n\n[quality]\nmin_mean_grey = 20.0\n\n[reject]\nby = "plc"\n\n'
        '[recipe]\nactive = "one"\n\n[challenge]\nevery_hours = 8.0\n\n[access]\nlook = ["station"]\n',
    ]
    recipe = 'number = 1\ndescription = "x"\n[engine]\npath = "engine"\n[cameras.top]\nexposure_time_us = 400.0\n'
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHARED_MEMORY) as name:
        file, recipe_file = Path(name) / "station.toml", Path(name) / "recipes" / "one.toml"
        recipe_file.parent.mkdir()

        def one(rng: random.Random) -> str:
            text = rng.choice(stations)
            in_recipe = rng.random() < 0.3
            file.write_bytes(text.encode() if in_recipe else mutated_text(text, rng))
            recipe_file.write_bytes(mutated_text(recipe, rng) if in_recipe else recipe.encode())
            try:
                load(file)
            except ConfigurationError as problem:
                str(problem).encode("utf-8", "surrogatepass")
                if not problem.problems:
                    raise Broken("refused without a word") from problem
                return "refused"
            return "taken"

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
    0x0108000B, 0x02100032, 0x81080001, 0x01380001, 0x020C001E, 0, 0xFFFF_FFFF,
)  # fmt: skip
_SCENE_WIDTH, _SCENE_HEIGHT = 64, 48


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
    settings = CameraSettings(producer=producer_from_name("simtl"), trigger="software", exposure_time_us=10.0)
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
    if filled is not None and filled < pixels.shape[0] * pixels.shape[1]:
        raise Broken(f"{pixels.shape} of {filled} bytes: the rest is of an earlier frame")
    if pixels.dtype != np.uint8 or pixels.nbytes > 4 * _SCENE_WIDTH * _SCENE_HEIGHT:
        raise Broken(f"{pixels.dtype} {pixels.shape} of a frame of {_SCENE_WIDTH} x {_SCENE_HEIGHT} px")
    int(pixels.max())
    return "pixels"


TARGETS: Mapping[str, tuple[Target, int]] = {
    "archives": (archives, 150_000),
    "images": (images, 270_000),
    "control": (control, 100_000),
    "modbus": (modbus, 280_000),
    "configuration": (configuration, 150_000),
    "gentl": (gentl, 50_000),
}
"""And how many inputs each takes of a million."""
