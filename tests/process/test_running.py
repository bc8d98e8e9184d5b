"""Registers of a PLC are read, kept, watched and joined to parts; a PLC that is gone is said and tried again."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from docs.generate.commands import json_of, leaves
from station.commands import main as cli
from station.commands.main import build_parser
from station.configuration.load import ConfigurationError, load_station
from station.configuration.plc import ProcessRegisterSection, ProcessSection
from station.process.computer import of_computer
from station.process.joined import rejects_with
from station.process.registers import Block, blocks_of, value_of
from station.process.running import Sampling
from station.process.storage import COMPUTER, PROCESS, PROCESS_FILE, at_time, findings, reading, samples
from tests.bench.pages import write_configuration

HELP = {" ".join(words): json_of(parser) for words, parser in leaves(build_parser(["process"]))}
SECTION = """
[process]
host = "127.0.0.1"
port = {port}
period_s = 0.5
response_timeout_ms = 300
[[process.registers]]
name = "oven 3"
address = 10
scale = 0.1
[[process.registers]]
name = "belt"
address = 12
signed = true
"""


class Plc:
    """Replies to function 3 with registers of its own; one connection after the other."""

    def __init__(self) -> None:
        self.registers = {10: 1815, 11: 0, 12: 0xFFFE}
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                while len(asked := connection.recv(260)) >= 12:
                    first, count = int.from_bytes(asked[8:10], "big"), int.from_bytes(asked[10:12], "big")
                    data = b"".join(self.registers[first + number].to_bytes(2, "big") for number in range(count))
                    body = asked[6:7] + bytes([3, len(data)]) + data
                    connection.sendall(asked[:4] + len(body).to_bytes(2, "big") + body)

    def close(self) -> None:
        self.listening.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    plc = Plc()
    path = write_configuration(tmp_path)
    path.write_text(path.read_text() + SECTION.format(port=plc.port))
    (tmp_path / "work").mkdir(exist_ok=True)
    return path


def test_few_requests_for_many_registers() -> None:
    assert blocks_of([12, 10, 30, 10]) == [Block(10, 3), Block(30, 1)]
    assert blocks_of(range(0, 300, 5))[0] == Block(0, 96)
    assert value_of(ProcessRegisterSection(name="x", address=1, scale=0.5, offset=1.0, signed=True), 0xFFFE) == 0.0
    assert value_of(ProcessRegisterSection(name="x", address=1), 0xFFFE) == 65534.0


def test_values_are_read_kept_and_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    station = load_station(config)
    station.work_dir.mkdir(exist_ok=True)
    sampling = Sampling(station.settings.process, station.work_dir)
    sampling.turn()
    sampling.close()
    with reading(station.work_dir / PROCESS_FILE) as connection:
        assert connection is not None
        ((at, values),) = samples(connection, PROCESS, 0, 1e11)
        assert values == {"oven 3": pytest.approx(181.5), "belt": -2.0}
        assert "disk free" in samples(connection, COMPUTER, 0, 1e11)[0][1]
        assert at_time(connection, at + 5, 10.0) == (at, values)
        assert at_time(connection, at - 1, 10.0) is None
    for name, code in (("status", 0), ("learn", 0)):
        more = ["--why", "new oven"] if name == "learn" else []
        assert cli.main(["process", name, *more, "--json", "--config", str(config)]) == code
        said = HELP[f"process {name}"]
        assert said is not None
        assert list(json.loads(capsys.readouterr().out)) == said.split(", ")


def test_a_plc_that_is_gone_is_said_once_and_over_when_it_is_back(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    register = ProcessRegisterSection(name="oven 3", address=10)
    section = ProcessSection(host="127.0.0.1", port=port, response_timeout_ms=200, registers=[register])
    sampling = Sampling(section, tmp_path)
    for _ in range(3):
        sampling.turn()
    sampling.close()
    with reading(tmp_path / PROCESS_FILE) as connection:
        assert connection is not None
        assert [(one.kind, one.begins) for one in findings(connection, 9)] == [("lost", True)]
        assert [values for _, values in samples(connection, PROCESS, 0, 1e11)] == [{}] * 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ('host = "127.0.0.1"', "without `host`"),
        ('name = "belt"', "stands there twice"),
    ],
)
def test_what_the_configuration_refuses(config: Path, change: str, problem: str) -> None:
    other = {'host = "127.0.0.1"': 'host = ""', 'name = "belt"': 'name = "oven 3"'}[change]
    begin, section = config.read_text().split("[process]")
    config.write_text(f"{begin}[process]{section.replace(change, other)}")
    with pytest.raises(ConfigurationError, match=problem):
        load_station(config)


def test_rejects_that_rise_with_a_value() -> None:
    draw = np.random.default_rng(2)
    found = [
        (float(at), {"oven 3": 180 + 5 * np.sin(at / 50), "belt": draw.normal(), "still": 1.0}) for at in range(2000)
    ]
    hot = [values["oven 3"] > 184 for _, values in found]
    parts = [(at + 0.5, bool(draw.random() < (0.2 if hot[int(at)] else 0.01))) for at, _ in found]
    first, *others = rejects_with(parts, found, 5.0)
    assert first.name == "oven 3"
    assert first.deviations > 5
    assert first.rejected_high > first.rejected_low
    assert all(abs(one.deviations) < 3.5 for one in others)
    assert {one.name for one in others} == {"belt"}
    assert rejects_with([(9e9, True)] * 200, found, 5.0) == []


def test_what_the_computer_says(tmp_path: Path) -> None:
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("x86_pkg_temp\n")
    (zone / "temp").write_text("58000\n")
    (tmp_path / "thermal_zone1").mkdir()
    assert of_computer(tmp_path, tmp_path)["x86_pkg_temp"] == 58.0
    assert 0 < of_computer(tmp_path, tmp_path)["disk free"] <= 1


def test_rejects_command_has_its_keys(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["process", "rejects", "--config", str(config)]) == 2  # no records yet
    assert "records" in capsys.readouterr().err
    assert HELP["process rejects"] == "a list of name, parts, low, high, rejected_low, rejected_high, deviations"
