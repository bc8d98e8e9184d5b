"""`[sparkplug]`: what is refused, what the check says, and the process with both connectors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from station.commissioning.plant_check import sparkplug_findings
from station.configuration.load import ConfigurationError, load_station
from station.forwarding.progress import forwarding_beside, read_progress
from tests.bench.broker import mosquitto
from tests.bench.places import ROOT
from tests.bench.waiting import wait_for
from tests.northbound.sending import record, some
from tests.northbound.sparkplug.publishing import born, plant

STATION = '[station]\nname = "ST-04"\n[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n'


def station_with(folder: Path, lines: str) -> Path:
    file = folder / "station.toml"
    file.write_text(f"{STATION}[sparkplug]\n{lines}\n")
    return file


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('brokers = ["mqtts://h"]', "without group"),
        ('brokers = ["http://h"]\ngroup = "p"', "mqtts://HOST:PORT"),
        ('brokers = ["mqtts://h:99999"]\ngroup = "p"', "mqtts://HOST:PORT"),
        ('brokers = ["mqtts://u:secret@h"]\ngroup = "p"', "password_file"),
        ('brokers = ["mqtt://h"]\ngroup = "p"', "in clear"),
        ('brokers = ["mqtts://h"]\ngroup = "a/b"', "topic"),
        ('brokers = ["mqtts://h"]\ngroup = "p"\nuser = "u"', "belong together"),
        ('brokers = ["mqtts://h"]\ngroup = "p"\nkey_file = "k"', "belong together"),
        ('brokers = ["mqtts://h"]\ngroup = "p"\nbroker = 1', "broker"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_station(station_with(tmp_path, lines))
    assert said in str(refused.value)
    assert "secret@" not in str(refused.value)


def test_clear_text_is_taken_where_it_is_meant_or_stays_here(tmp_path: Path) -> None:
    for lines in ('brokers = ["mqtt://localhost"]', 'brokers = ["mqtt://h"]\nunencrypted = true'):
        assert load_station(station_with(tmp_path, f'{lines}\ngroup = "p"')).settings.sends_to_plant


@pytest.mark.system
def test_the_check_tries_each_broker(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        lines = f'brokers = ["mqtt://127.0.0.1:{broker.port}", "mqtt://127.0.0.1:1"]\ngroup = "plant"'
        good, bad = sparkplug_findings(load_station(station_with(tmp_path, lines)))
        assert (good.ok, bad.ok) == (True, False)
        assert "127.0.0.1:1" in bad.detail
    secret = tmp_path / "broker.password"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    lines = 'brokers = ["mqtts://h"]\ngroup = "p"\nuser = "u"\npassword_file = "broker.password"'
    (finding,) = sparkplug_findings(load_station(station_with(tmp_path, lines)))
    assert "chmod o=" in finding.detail
    assert "s3cret" not in finding.detail


@pytest.mark.system
def test_the_process_is_born_and_says_when_it_is_stopped(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, plant(broker) as host:
        config = station_with(
            tmp_path, f'brokers = ["mqtt://127.0.0.1:{broker.port}"]\ngroup = "plant"\nevery_part = true'
        )
        records = load_station(config).records_dir
        command = [sys.executable, "-m", "station", "plant", "run", "--config", str(config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            wait_for(lambda: host.host.node.online, "the birth", 60)
            assert not host.host.device.online, "no daemon, nothing on record: no line"
            record(records, some(1, 30))
            wait_for(lambda: len(host.keys) == 30, "the parts")
            born(host)
            wait_for(lambda: read_progress(forwarding_beside(records))[0].sent == 30, "the cursor")
        finally:
            os.kill(process.pid, signal.SIGTERM)
            _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log
        wait_for(lambda: not host.host.node.online, "the death")
