"""Whoever reads the output may leave at any time (`| head -1`): no command ends with a traceback, each with 141."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from station.commands.main import EXIT_READER_GONE, main
from station.configuration import load as config
from station.daemon.control_server import ControlServer
from tests.commands.records.conftest import Station, station
from tests.commands.test_json import ALONE, RUNNING, STARTS_A_PROCESS, full, status

__all__ = ["full", "station"]


class Gone(io.StringIO):
    """A standard output whose reader has left."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = os.open(file, os.O_CREAT | os.O_RDWR)

    def fileno(self) -> int:
        return self._file

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        return None


class Kept(Gone):
    """A standard error that takes everything."""

    def write(self, text: str) -> int:
        return io.StringIO.write(self, text)


def ends(place: Station, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    place.capsys.readouterr()
    folder = place.config.parent
    monkeypatch.setattr("sys.stdout", Gone(folder / "out"))
    monkeypatch.setattr("sys.stderr", said := Kept(folder / "err"))
    code = main([*(word.format(folder=folder) for word in words), "--config", str(place.config)])
    assert (code, said.getvalue()) == (EXIT_READER_GONE, "")


SAYS_NOTHING = {"config diff", "online", "offline", "clear", "reload"}
"""But with `--json`."""


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.system] if name in STARTS_A_PROCESS else []) for name in ALONE]
)
def test_a_command_ends_quietly(
    name: str, form: tuple[str, ...], full: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "engine rollback":
        main(["engine", "activate", "2", "--config", str(full.config)])
    ends(full, (*ALONE[name], *form), monkeypatch)


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("name", RUNNING)
def test_what_asks_a_station_ends_quietly(
    name: str, form: tuple[str, ...], full: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not form and name in SAYS_NOTHING:
        return
    socket = config.load_station(full.config).control_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    names = ("online", "offline", "clear", "challenge", "reload")
    server = ControlServer(
        socket,
        {
            "status": lambda _: {"status": status()},
            "second": lambda _: {"rules": [], "waiting": []},
            **dict.fromkeys(names, lambda _: {}),
        },
    )
    server.start()
    try:
        ends(full, (*RUNNING[name], *form), monkeypatch)
    finally:
        server.close()


@pytest.mark.parametrize("words", [("plc", "conformance", "--list"), ("plc", "conformance", "--list", "--json")])
def test_tools_of_the_plc_end_quietly(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Gone(tmp_path / "out"))
    monkeypatch.setattr("sys.stderr", Kept(tmp_path / "err"))
    assert main(list(words)) == EXIT_READER_GONE


@pytest.mark.system
@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (("--help",), {0, EXIT_READER_GONE}),  # argparse itself overlooks that nobody reads its help
        (("completion", "zsh"), {EXIT_READER_GONE}),
        (("camera", "list"), {EXIT_READER_GONE}),
    ],
)
def test_a_real_pipe(words: tuple[str, ...], codes: set[int]) -> None:
    command = [sys.executable, "-m", "station", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = [line for line in process.stderr.read().splitlines() if not line.startswith("GenTL producer")]
        assert said == []
        assert process.wait(60) in codes
