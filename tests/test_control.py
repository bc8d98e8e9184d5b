"""The control socket: answers, errors, silent clients, leftovers and a second station."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from station.control import ControlError, request
from station.daemon.control_server import ControlServer


def echo(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"heard": message.get("word")}


def refuse(_message: Mapping[str, Any]) -> dict[str, Any]:
    raise ControlError("not now; try again later")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "control.sock", {"echo": echo, "refuse": refuse})
    server.start()
    yield tmp_path / "control.sock"
    server.close()


def test_answer(path: Path) -> None:
    assert request(path, {"command": "echo", "word": "hello"})["heard"] == "hello"


def test_only_the_own_user_and_group_may_open_it(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_refusal_and_unknown_command(path: Path) -> None:
    with pytest.raises(ControlError, match="not now"):
        request(path, {"command": "refuse"})
    with pytest.raises(ControlError, match="unknown command 'dance'; known: echo, refuse"):
        request(path, {"command": "dance"})


@pytest.mark.parametrize("line", [b"\n", b"[1, 2]\n", b"{\n", b"\xff\xfe\n", b'{"command": 5}\n'])
def test_rubbish_gets_an_error(path: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(line)
        assert b'"ok": false' in client.recv(65536)


def test_a_silent_client_holds_nobody_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(path))
        assert request(path, {"command": "echo", "word": 1})["heard"] == 1


def test_no_station(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no station listens"):
        request(tmp_path / "control.sock", {"command": "echo"})


def test_a_second_station_is_refused(path: Path) -> None:
    with pytest.raises(ControlError, match="another station runs"):
        ControlServer(path, {})
    assert request(path, {"command": "echo", "word": 2})["heard"] == 2


def test_a_socket_left_by_a_killed_station_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as leftover:
        leftover.bind(str(path))
    server = ControlServer(path, {"echo": echo})
    server.start()
    assert request(path, {"command": "echo", "word": 3})["heard"] == 3
    server.close()
    assert not path.exists()


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="choose a shorter"):
        ControlServer(tmp_path / ("x" * 120), {})
