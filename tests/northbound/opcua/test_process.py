"""`station plant run` as an OPC UA server: killed at any moment it loses no result, and its commands say what is so."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from station.commands.main import main
from station.commissioning.plant_check import opcua_findings
from station.configuration.load import ConfigurationError, load_station
from station.forwarding.progress import forwarding_beside, read_progress
from tests.bench.ports import free_port
from tests.bench.waiting import wait_for
from tests.northbound import plant_process
from tests.northbound.opcua.client import Client, Papers, client, packages, papers
from tests.northbound.plant_process import ended
from tests.northbound.sending import record, some

STATION = '[station]\nname = "ST-04"\n[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n'
START_S = 120.0


def written(folder: Path, more: str = "") -> tuple[Path, int]:
    port = free_port()
    config = folder / "station.toml"
    config.write_text(f"{STATION}[opcua]\nenabled = true\nport = {port}\nallow_anonymous = true\n{more}")
    return config, port


def started(config: Path, port: int) -> subprocess.Popen[str]:
    """It listens."""
    return plant_process.started(config, f"clients of opc.tcp://127.0.0.1:{port}\n")


def checked(config: Path) -> tuple[bool, str]:
    """What `station check` finds of it."""
    (found,) = opcua_findings(load_station(config))
    return found.ok, found.detail


def has(plant: Client, count: int) -> bool:
    return len(plant.results()) >= count


def at(records: Path) -> int:
    return read_progress(forwarding_beside(records))[0].cursor.last_id


def listening(plant: Client, port: int, mine: Papers) -> None:
    plant.connect(port, mine)
    plant.ask("subscribe", fields=("ResultId",))


@pytest.mark.system
@pytest.mark.timeout(500)
def test_a_server_that_is_killed_again_and_again_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    modules = packages(tmp_path_factory)
    config, port = written(tmp_path)
    records = load_station(config).records_dir
    mine = papers(tmp_path / "client")
    trusted = forwarding_beside(records).parent / "opcua" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "client.der").write_bytes(mine.der)
    got: list[str] = []
    for turn in range(3):
        process = started(config, port)
        wait_for(lambda: read_progress(forwarding_beside(records)) != [], "its first look", START_S)
        record(records, some(30 * turn + 1, 30 * turn + 30))
        with client(modules, tmp_path / "client") as plant:
            listening(plant, port, mine)
            enough = 30 if turn == 2 else 1
            wait_for(partial(has, plant, enough), "results", START_S)
            if turn < 2:
                assert ended(process, signal.SIGKILL)[0] == -signal.SIGKILL
            else:
                wait_for(lambda: at(records) == 90, "the cursor", START_S)
                capsys.readouterr()  # the log of the parts
                code = main(["plant", "status", "--json", "--config", str(config)])
                found: Any = json.loads(capsys.readouterr().out)
                assert (code, found["runs"]) == (0, True)
                assert [(one["name"], one["waiting"]) for one in found["connectors"]] == [("opcua", 0)]
                said = checked(config)
                assert said[0]
                assert f"opc.tcp://127.0.0.1:{port} listens; its certificate is good until" in said[1]
                assert ended(process, signal.SIGTERM)[0] == 0
            got += plant.results()
    assert set(got) == {f"s1/{number}" for number in range(1, 91)}, "none is missing"
    key = forwarding_beside(records).parent / "opcua" / "own" / "station.key"
    assert key.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ('commands = "everything"\n', "'none', 'recipe' or 'all'"),
        ('policies = ["None"]\n', "Basic256Sha256"),
        ("policies = []\n", "at least 1"),
        ('host = " "\n', "an address or name of this computer"),
        ('host = "0.0.0.0"\ncommands = "all"\nallow_none = true\n', "would travel in clear"),
        ('certificate_hosts = ["a b"]\n', "is no name or address"),
        ("ports = 3\n", "ports"),
    ],
)
def test_bad_input_is_refused_in_words(tmp_path: Path, more: str, wanted: str) -> None:
    config, _ = written(tmp_path, more)
    with pytest.raises(ConfigurationError) as found:
        load_station(config)
    assert wanted in str(found.value)


def test_check_and_run_say_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, port = written(tmp_path)
    ok, said = checked(config)
    assert not ok
    assert f"nothing listens on opc.tcp://127.0.0.1:{port}: systemctl enable --now station-plant" in said
    assert "made at the first start; 0 clients are trusted" in said
    own = forwarding_beside(load_station(config).records_dir).parent / "opcua" / "own"
    own.mkdir(parents=True)
    (own / "station.der").write_bytes(b"junk")
    (own / "station.key").write_bytes(b"")
    assert "is no certificate" in checked(config)[1]
    monkeypatch.setitem(sys.modules, "station.northbound.opcua.assembly", None)
    assert "the extra `plant` is not installed" in checked(config)[1]
    assert main(["plant", "run", "--config", str(config)]) == 2
    assert "[opcua] needs the extra `plant`" in capsys.readouterr().err


@pytest.mark.system
def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, port = written(tmp_path)
    with socket.create_server(("127.0.0.1", port)):
        assert main(["plant", "run", "--config", str(config)]) == 2
        assert f"[opcua]: 127.0.0.1:{port}: " in capsys.readouterr().err
        assert "another program listens on" in checked(config)[1]
