"""What comes to the station itself: lines to the control socket, configurations."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from benchmarks.fuzz.mutations import WORDS, mutated, mutated_text
from benchmarks.fuzz.target import SHARED_MEMORY, Broken, Try
from station.configuration.load import ConfigurationError, load
from station.control import MAX_LINE_BYTES, ControlError
from station.daemon.control_server import ControlServer
from tests.bench.places import ROOT

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
    asked = {name: value for name, value in request.items() if name not in {"user", "asker"}}
    if len(asked) > 2:
        raise ControlError(f"too much: {sorted(asked)!r}")
    return {"got": asked}


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
