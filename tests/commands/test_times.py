"""One clock in all outputs: that of `[station] time_zone`, wherever the computer stands. Only logs are in UTC."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from station.commands.main import main
from tests.bench.places import ROOT
from tests.commands.records.conftest import Station, station
from tests.commands.test_json import full

__all__ = ["full", "station"]

FORMATS = re.compile(r"\.strftime\(|localtime|\.isoformat\(|\.fromtimestamp\(|\bctime\(|\.astimezone\(|%H:?%M|%Y-%m")
FORMATTERS = {
    "station/reports/shifts.py": "the one place",
    "station/daemon/logs.py": "logs are in UTC",
    "station/daemon/daemon.py": "the name of a session, in UTC",
    "station/line/recording/image_store.py": "names of files, in UTC",
    "station/backup/restoring.py": "names of files, in UTC with its offset",
    "station/line/challenge/machine.py": "the clock is given to it",
    "engines/training/evaluation/runner.py": "UTC with its Z",
    "engines/training/dossier/collect.py": "UTC with its Z",
    "engines/training/teach.py": "UTC with its Z; shown by `Calendar.of_text`",
    "engines/training/kinds/relearn.py": "UTC with its Z; shown by `Calendar.of_text`",
    "engines/runtimes/tensorrt/plan_store.py": "UTC with its Z",
    "engines/store/history.py": "UTC with its Z; shown by `Calendar.of_text`",
    "station/fleet/refreshing/s3_signature.py": "what the signature of a request asks for, in UTC",
    "station/northbound/opcua/results.py": "a moment as OPC UA has it, UTC; no text",
    "station/northbound/readings.py": "a moment as databases and stores have it, UTC; no text",
    "station/fleet/channel.py": "UTC with its Z; shown by `Calendar.of_text`",
    "station/daemon/candidate/probation.py": "reads the time of `engines/store/history.py`",
}
"""Who may make text of a time. All others ask `station.reports.shifts.Calendar`."""
ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d))?")


def test_one_place_makes_text_of_times() -> None:
    sources = [
        path
        for package in ("station", "engines", "drivers")
        for pattern in ("*.py", "*.html")
        for path in (ROOT / package).rglob(pattern)
    ]
    found = {path.relative_to(ROOT).as_posix() for path in sources if FORMATS.search(path.read_text(encoding="utf-8"))}
    elsewhere = {name for name in found - FORMATTERS.keys() if not name.startswith("station/simulation/")}
    assert elsewhere == set(), "use `Calendar.in_words`, `clock` or `iso` of station/reports/shifts.py"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The computer has the time of Apia, 13 hours from Greenwich."""
    monkeypatch.setenv("TZ", "Pacific/Apia")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


SHOWING = {
    "parts": ("parts",),
    "counts": ("counts", "--by", "hour"),
    "show": ("show", "1002"),
    "trace": ("trace", "1002"),
    "audit": ("audit",),
    "config list": ("config", "list"),
    "challenge history": ("challenge", "history"),
    "engine list": ("engine", "list"),
    "engine show": ("engine", "show", "1"),
    "label": ("label", "1002", "good"),
    "recipe list": ("recipe", "list"),
    "backup": ("backup",),
}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("form", ["text", "--json", "--csv"])
@pytest.mark.parametrize("name", SHOWING)
def test_every_time_is_by_the_clock_of_the_station(
    name: str, form: str, full: Station, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own clock shows Berlin: neither the hour of Apia nor that of Greenwich is anywhere."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    if form == "--csv" and name not in ("parts", "counts"):
        return
    said = full.said(*SHOWING[name], *([] if form == "text" else [form]))
    if name == "engine show" and form == "--json":
        return  # the manifest as it is: UTC with its Z
    shown = [text for text in ISO.findall(said) if not text.startswith("1970-01-01T00:00:00")]
    offsets = {text[-6:].replace(" ", "") for text in shown if re.search(r"[+-]\d\d:?\d\d$", text[16:])}
    assert offsets <= {"+01:00", "+02:00"}, shown
    assert not [text for text in shown if text.endswith("Z")]
    if name in ("parts", "show", "trace") and form == "text":
        assert "2026-10-25 02:30:00" in said
    if name == "backup":
        assert re.search(r"-20\d{6}T\d{6}\+0[12]00\.tar\.gz", said)
    if form == "--json" and name in ("audit", "config list"):
        assert json.loads(said)[0]["time"] == "1970-01-01T01:00:01.000+01:00"
    if name == "challenge history":
        assert "1970-01-01T01:00:01.000+01:00" in said if form == "--json" else "1970-01-01 01:00" in said
    if name in ("engine list", "engine show") and form == "text":
        assert any(_is_now_in_berlin(text) for text in shown), shown


def _is_now_in_berlin(text: str) -> bool:
    now = datetime.now(ZoneInfo("Europe/Berlin")).replace(tzinfo=None)
    return abs(now - datetime.fromisoformat(text.replace(" ", "T")[:19])) < timedelta(minutes=30)


def test_records_without_a_configuration_are_shown_by_the_clock_of_the_computer(
    station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    station.config.unlink()
    assert main(["trace", "1002", "--json", "--records", str(station.records), "--config", str(station.config)]) == 0
    shown = json.loads(capsys.readouterr().out)["part"]["time"]
    assert datetime.fromisoformat(shown).timestamp() == 1_792_888_200.0
