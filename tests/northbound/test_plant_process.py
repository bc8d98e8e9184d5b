"""The process that sends: killed at any moment it loses nothing, and its commands say what is so."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from station.commands.main import main
from station.configuration.load import load_station
from station.forwarding.progress import forwarding_beside, read_progress
from tests.bench.receiver import SECRET, Receiver, receiving, write_secret
from tests.bench.waiting import wait_for
from tests.northbound.plant_process import ended, said, started
from tests.northbound.sending import record, some

STATION = '[station]\nname = "ST-04"\n[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\n[plc]\nrole = "off"\n'
WHERE = "127.0.0.1:"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    write_secret(tmp_path)
    config = tmp_path / "station.toml"
    config.write_text(
        f'{STATION}[webhook]\nurl = "{receiver.url}"\nsecret_file = "webhook.secret"\ntimeout_s = 2\nbatch = 3\n'
    )
    return config


def came(receiver: Receiver, requests: int, parts: int) -> bool:
    return receiver.requests >= requests or len(receiver.distinct) == parts


@pytest.mark.system
def test_a_sender_that_is_killed_again_and_again_loses_nothing(config: Path, receiver: Receiver) -> None:
    records = load_station(config).records_dir
    draw = random.Random(4)
    process = started(config, WHERE)
    wait_for(lambda: read_progress(forwarding_beside(records)) != [], "its first look")
    for turn in range(3):
        record(records, some(10 * turn + 1, 10 * turn + 10))
        receiver.mode = draw.choice(["take", "500", "late", "hang"])
        enough, whole = receiver.requests + draw.randint(1, 2), 10 * (turn + 1)
        wait_for(partial(came, receiver, enough, whole), "requests")
        assert ended(process, signal.SIGKILL)[0] == -signal.SIGKILL
        process = started(config, WHERE)
    receiver.mode = "take"
    wait_for(lambda: len(receiver.distinct) == 30, "all parts")
    assert receiver.distinct == list(range(1, 31)), "in order, none missing"
    assert SECRET not in str(receiver.taken)
    code, log = ended(process, signal.SIGTERM)
    assert code == 0
    assert SECRET not in log


@pytest.mark.system
def test_a_stop_does_not_wait_for_a_receiver_that_hangs(config: Path, receiver: Receiver) -> None:
    config.write_text(config.read_text().replace("timeout_s = 2", "timeout_s = 100"))
    records = load_station(config).records_dir
    process = started(config, WHERE)
    wait_for(lambda: read_progress(forwarding_beside(records)) != [], "its first look")
    receiver.mode = "hang"
    record(records, some(1, 1))
    wait_for(lambda: receiver.requests == 1, "the request")
    code, log = ended(process, signal.SIGTERM)
    assert (code, SECRET in log) == (0, False)


@pytest.mark.system
def test_status_says_what_is_so(config: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(config, capsys, "plant", "status") == (1, {"runs": False, "connectors": []})
    records = load_station(config).records_dir
    process = started(config, WHERE)
    wait_for(lambda: read_progress(forwarding_beside(records)) != [], "its first look")
    record(records, some(1, 4))
    wait_for(lambda: len(receiver.distinct) == 4, "all parts")
    wait_for(lambda: read_progress(forwarding_beside(records))[0].sent == 4, "the cursor")
    code, found = said(config, capsys, "plant", "status")
    assert (code, found["runs"]) == (0, True)
    assert {name: found["connectors"][0][name] for name in ("name", "sent", "waiting", "parked", "failing_since")} == {
        "name": "webhook", "sent": 4, "waiting": 0, "parked": 0, "failing_since": None,
    }  # fmt: skip
    code, text = said(config, capsys, "plant", "resend", "8h")
    assert (code, "another plant process" in text) == (2, True)
    receiver.mode = "500"
    record(records, some(5, 6))
    wait_for(lambda: read_progress(forwarding_beside(records))[0].failing_since is not None, "the failure")
    code, found = said(config, capsys, "plant", "status")
    assert (code, found["connectors"][0]["waiting"]) == (1, 2)
    assert "replied 500" in found["connectors"][0]["detail"]
    ended(process, signal.SIGTERM)


def test_a_person_tries_the_way_and_sends_again(
    config: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(config, capsys, "plant", "test") == (0, {"outcome": "taken", "detail": ""})
    assert [event["type"] for event in receiver.taken] == ["station.webhook.test"]
    receiver.mode = "401"
    code, found = said(config, capsys, "plant", "test")
    assert (code, found["outcome"]) == (1, "failed")
    assert "does it have the secret" in found["detail"]
    code, text = said(config, capsys, "plant", "resend", "8h")
    assert (code, "records" in text) == (2, True)
    record(load_station(config).records_dir, some(1, 5))
    code, found = said(config, capsys, "plant", "resend", "2027-01-15T08:00:03Z")
    assert (code, found["parts"]) == (0, 3)
    assert read_progress(forwarding_beside(load_station(config).records_dir))[0].cursor.last_id == 2
    assert said(config, capsys, "plant", "resend", "parked") == (0, {"taken": 0, "refused": 0, "gone": 0})


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('url = "http://mes.example/x"', "http would go over the network in clear"),
        ('url = "ftp://mes"', "no address: give https://HOST/PATH"),
        ('url = "mes"', "no address"),
        ('url = "https://a:b@mes/"', "no name and password in the address"),
        ('url = "https://mes/#x"', "#x is never sent"),
        ('url = "https://mes:99999/"', "no address"),
        ('url = "https://mes/a b"', "no spaces"),
        ('url = "https://mes/\\u0007"', "no spaces and no letters beyond ASCII"),
        ('url = "https://mes/"', "url without secret_file"),
        ('url = "https://mes/"\nsecret_file = "s"\nbatch = 501', "batch"),
        ('url = "https://mes/"\nsecret_file = "s"\ntimeout_s = 0', "timeout_s"),
    ],
)
def test_an_address_that_is_none_is_refused(
    config: Path, capsys: pytest.CaptureFixture[str], lines: str, words: str
) -> None:
    lines = lines if "secret_file" in lines or "without" in words else f'{lines}\nsecret_file = "s"'
    config.write_text(f"{STATION}[webhook]\n{lines}\n")
    code, text = said(config, capsys, "plant", "status")
    assert (code, words in text) == (2, True), text


def test_without_a_webhook_or_a_secret_it_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = config.read_text()
    config.write_text(STATION)
    for action in (("status",), ("test",), ("resend", "parked")):
        code, text = said(config, capsys, "plant", *action)
        assert (code, "nothing to send" in text) == (2, True)
    assert main(["plant", "run", "--config", str(config)]) == 2
    config.write_text(whole)
    (config.parent / "webhook.secret").unlink()
    assert main(["plant", "run", "--config", str(config)]) == 2
    assert "webhook.secret cannot be read" in re.sub(r"\s+", " ", capsys.readouterr().err)


@pytest.mark.system
def test_no_command_shows_the_secret(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_station(config)
    for words in (["plant", "status"], ["plant", "test"], ["config", "list"], ["check"]):
        main([*words, "--config", str(config)])
    output = capsys.readouterr()
    assert SECRET not in output.out + output.err
