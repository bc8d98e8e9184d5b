"""Shifts and time zone: what is refused, and that a running station does not care."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.configuration.load import ConfigurationError, changed_for_restart, load
from station.reports.shifts import calendar_of
from station.simulation.parts.pictures import Canvas
from station.simulation.run.workspace import configuration


def write(folder: Path, keys: str) -> Path:
    text = configuration(Canvas(64, 64, 1), folder / "engine", 1502, trigger="line")
    path = folder / "station.toml"
    path.write_text(text.replace("[station]\n", f"[station]\n{keys}\n"), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ('time_zone = "Europe/Nowhere"', 'no time zone "Europe/Nowhere" on this computer'),
        ('time_zone = "../etc/passwd"', "no time zone"),
        ('time_zone = "Europe"', "no time zone"),
        ('time_zone = ""', "no time zone"),
        ('shifts = [{ name = "a", start = "6:00" }]', "start = '6:00'"),
        ('shifts = [{ name = "a", start = "24:00" }]', "start = '24:00'"),
        ('shifts = [{ name = "a@b", start = "06:00" }]', "name = 'a@b'"),
        ('shifts = [{ name = "now", start = "06:00" }]', 'name = "now" has another meaning'),
        (
            'shifts = [{ name = "a", start = "06:00" }, { name = "a", start = "14:00" }]',
            'name = "a" stands there twice',
        ),
        ('shifts = [{ name = "a", start = "06:00" }, { name = "b", start = "06:00" }]', 'start = "06:00" stands'),
    ],
)
def test_what_makes_no_shift_is_refused(keys: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        load(write(tmp_path, keys))


def test_shifts_may_change_while_the_station_runs(tmp_path: Path) -> None:
    before = load(write(tmp_path, "")).settings
    keys = (
        'time_zone = "Asia/Tokyo"\nshifts = [{ name = "früh", start = "06:00" }, { name = "nacht", start = "22:30" }]'
    )
    after = load(write(tmp_path, keys)).settings
    assert changed_for_restart(before, after) == []
    assert calendar_of(after.station).names == ("früh", "nacht")
    assert str(calendar_of(after.station).local(0)) == "1970-01-01 09:00:00+09:00"
    assert calendar_of(before.station).names == ("day",)
