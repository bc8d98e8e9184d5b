"""The process that sends: killed at any moment, its server stopped and started, both sides are equal afterwards."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from station.commissioning.plant_check import postgres_findings
from station.configuration.load import ConfigurationError, load_station
from station.forwarding.progress import forwarding_beside, read_progress
from tests.bench.postgres import STATION, STATIONS_WORD, PostgresServer, postgres
from tests.bench.waiting import wait_for
from tests.northbound.plant_process import ended, said, started
from tests.northbound.postgres.station import hours_of, parts_at
from tests.northbound.sending import record

LINES = '[station]\nname = "ST-04"\n[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n'

COUNT = "SELECT count(*) FROM station_fleet.parts"
WHERE = "PostgreSQL 127.0.0.1:"


def configured(folder: Path, port: int, database: str, more: str = "") -> Path:
    word = folder / "database.password"
    word.write_text(f"{STATIONS_WORD}\n")
    word.chmod(0o600)
    config = folder / "station.toml"
    config.write_text(
        f'{LINES}[postgres]\nhost = "127.0.0.1"\nport = {port}\ndatabase = "{database}"\nuser = "{STATION}"\n'
        f'password_file = "database.password"\nencryption = "none"\npass_every = 1\nbatch = 20\ntimeout_s = 2\n{more}'
    )
    return config


@pytest.mark.system
def test_killed_again_and_again_with_its_server_away_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres() as server:
        config = configured(tmp_path, server.port, server.new_database())
        records = load_station(config).records_dir
        file = forwarding_beside(records)
        database, draw = "plant1", random.Random(5)
        process = started(config, WHERE)
        wait_for(lambda: read_progress(file) != [], "its first look")
        for turn in range(3):
            record(records, parts_at(50 * turn + 1, 50 * turn + 50))
            if turn == 1:
                server.kill()
            if turn == 2:
                server.start()
            if turn == 1:
                wait_for(lambda: read_progress(file)[0].failing_since is not None, "the failure")
            else:
                enough = 50 * turn + draw.randint(1, 50)
                wait_for(lambda enough=enough: server.ask(database, COUNT)[0][0] >= enough, "rows")  # type: ignore[misc]
            assert ended(process, signal.SIGKILL)[0] == -signal.SIGKILL
            process = started(config, WHERE)
        hours = "SELECT * FROM station_fleet.hours('ST-04') ORDER BY 1"
        wait_for(lambda: server.ask(database, hours) == hours_of(records), "both sides are equal")
        assert server.ask(database, "SELECT sum(parts)::int FROM station_fleet.minutes") == [(150,)]
        wait_for(lambda: said(config, capsys, "plant", "status")[0] == 0, "all is well")
        wait_for(lambda: said(config, capsys, "plant", "status")[1]["connectors"][0]["waiting"] == 0, "all is sent")
        server.stop()
        record(records, parts_at(151, 153))
        wait_for(lambda: said(config, capsys, "plant", "status")[0] == 1, "the failure")
        found = said(config, capsys, "plant", "status")[1]["connectors"][0]
        assert (found["name"], found["waiting"]) == ("postgres", 3)
        assert "127.0.0.1" in found["detail"]
        code, log = ended(process, signal.SIGTERM)
        assert code == 0
        assert STATIONS_WORD not in log
        assert not any(STATIONS_WORD in file.read_text(errors="replace") for file in records.parent.rglob("plant/*"))


@pytest.mark.system
def test_the_check_tries_the_database(tmp_path: Path, server: PostgresServer) -> None:
    config = configured(tmp_path, server.port, server.new_database())
    (finding,) = postgres_findings(load_station(config))
    assert finding.ok, finding.detail
    (tmp_path / "database.password").write_text("wrong\n")
    (finding,) = postgres_findings(load_station(config))
    assert not finding.ok
    assert "[postgres] password_file" in finding.detail
    (tmp_path / "database.password").chmod(0o644)
    (finding,) = postgres_findings(load_station(config))
    assert "everybody on this computer may read it" in finding.detail


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('host = "db"', "host without user"),
        ('host = "db"\nuser = "a"', "without ca_file"),
        ('host = "db"\nuser = "a"\nencryption = "none"', "would cross the network in clear"),
        ('host = "a,b"\nuser = "a"\nca_file = "c"', "one server"),
        ('host = "db"\nuser = "a"\nca_file = "c"\nkey_file = "k"', "belong together"),
        ('host = "db"\nuser = "a"\nca_file = "c"\npassword = "x"', 'unknown key, did you mean "password_file"'),
        ('host = "db"\nuser = "a"\nca_file = "c"\npass_every = -1', "pass_every"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(tmp_path: Path, lines: str, words: str) -> None:
    config = tmp_path / "station.toml"
    config.write_text(f"{LINES}[postgres]\n{lines}\n")
    with pytest.raises(ConfigurationError) as problem:
        load_station(config)
    assert words in str(problem.value)


@pytest.mark.parametrize("host", ["/run/postgresql", "127.0.0.1"])
def test_to_this_computer_nothing_needs_encryption(tmp_path: Path, host: str) -> None:
    config = tmp_path / "station.toml"
    config.write_text(f'{LINES}[postgres]\nhost = "{host}"\nuser = "a"\nencryption = "none"\n')
    assert load_station(config).settings.postgres.is_local
