"""`[reject]` in recipes: what a recipe may set, what is wired, and what a running station takes up."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.configuration.load import ConfigurationError, changed_for_restart, load
from station.configuration.reject import reject_text
from station.line.ejection.setup import tracking_settings
from station.results import Verdict

WIRED = """
[reject]
by = "station"
encoder = "plc"
window_counts = 200
[[reject.ejectors]]
distance_counts = 900
pulse_counts = 50
verdicts = ["REVIEW"]
output = "camera"
line = "Line3"
[[reject.ejectors]]
distance_counts = 1500
pulse_ms = 30.0
"""


def station(folder: Path, reject: str = WIRED, *, recipe: str = "") -> Path:
    """station.toml with one recipe, `flange`."""
    path = folder / "station.toml"
    path.write_text('[cameras.top]\nproducer = "simtl"\n[recipe]\nactive = "flange"\n' + reject)
    (folder / "recipes").mkdir(exist_ok=True)
    (folder / "recipes" / "flange.toml").write_text("number = 3\n" + recipe)
    return path


def test_a_recipe_is_laid_over_the_ejectors_one_by_one(tmp_path: Path) -> None:
    recipe = """
[reject]
window_counts = 150
sensor_counts = 500
[[reject.ejectors]]
distance_counts = 850
pulse_ms = 40.0
lead_ms = 7.0
verdicts = ["REVIEW", "ERROR"]
confirm_ms = 300.0
[[reject.ejectors]]
"""
    loaded = load(station(tmp_path, recipe=recipe))
    first, last = loaded.settings.reject.ejectors
    assert (first.output, first.line) == ("camera", "Line3"), "wired"
    assert (first.pulse_counts, first.pulse_ms) == (None, 40.0), "one takes the place of the other"
    assert (last.distance_counts, last.pulse_ms) == (1500, 30.0), "as it was"
    settings = tracking_settings(loaded)
    assert (settings.window, settings.sensor) == (150, 500)
    assert settings.ejectors[0].verdicts == {Verdict.REVIEW, Verdict.ERROR}
    assert settings.ejectors[0].lead_ns == 7_000_000
    text = reject_text(loaded.settings.reject)
    assert "window 150 counts; sensor at 500 counts; ejector 1 (camera) at 850 counts, pulse 40 ms" in text
    assert "confirmed within 300 ms: REVIEW, ERROR; ejector 2 (plc) at 1500 counts" in text


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ('[reject]\nby = "plc"\n', r"\[reject\] by: unknown key; allowed here: ejectors, sensor_counts"),
        ('[reject]\nencoder = "time"\n', r"\[reject\] encoder: unknown key"),
        ("[[reject.ejectors]]\n[[reject.ejectors]]\nline = 'Line2'\n", r"\[reject.ejectors.1\] line: unknown key"),
        (
            "[[reject.ejectors]]\noutput = 'plc'\n[[reject.ejectors]]\n",
            r"output: unknown key; allowed here: confirm_ms",
        ),
        ("[[reject.ejectors]]\n", "1 given, station.toml has 2: one for each"),
        ("[[reject.ejectors]]\n" * 3, "3 given, station.toml has 2"),
        ("[reject]\nwindow_counts = 40\n", "pulse 50 is longer than the window 40"),
        ("[reject]\nwindow_ms = 40.0\n", "use `window_counts`, not `window_ms`"),
        ("[[reject.ejectors]]\ndistance_counts = 1600\n[[reject.ejectors]]\n", "do not grow"),
        ("[[reject.ejectors]]\npulse_ms = 5.0\npulse_counts = 5\n[[reject.ejectors]]\n", "one of `pulse_counts` and"),
    ],
)
def test_what_is_wired_or_cannot_be_is_refused(tmp_path: Path, recipe: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(station(tmp_path, recipe=recipe))
    assert "flange.toml" in str(caught.value)


def test_a_recipe_says_nothing_of_ejectors_where_the_plc_tracks(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"would do nothing: the PLC tracks"):
        load(station(tmp_path, "", recipe="[reject]\nwindow_counts = 40\n"))
    assert reject_text(load(station(tmp_path, "")).settings.reject) == "the PLC tracks and pushes"


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("window_counts = 200", "window_counts = 210", []),
        ("distance_counts = 1500", "distance_counts = 1600\nconfirm_ms = 90.0", []),
        ('verdicts = ["REVIEW"]', "", []),
        ('line = "Line3"', 'line = "Line2"', ["reject.ejectors"]),
        ("[[reject.ejectors]]\ndistance_counts = 1500\npulse_ms = 30.0\n", "", ["reject.ejectors"]),
        ('encoder = "plc"', 'encoder = "camera"', ["reject.encoder"]),
        ('by = "station"', 'by = "plc"', ["reject.by"]),
    ],
)
def test_what_is_wired_needs_a_restart_and_nothing_else(tmp_path: Path, old: str, new: str, keys: list[str]) -> None:
    before = load(station(tmp_path)).settings
    assert old in WIRED
    assert changed_for_restart(before, load(station(tmp_path, WIRED.replace(old, new))).settings) == keys


def test_how_views_are_joined_is_part_of_recipes(tmp_path: Path) -> None:
    assert load(station(tmp_path, recipe='[views]\nrule = "k_of_n"\nk = 1\n')).settings.views.rule == "k_of_n"
    with pytest.raises(ConfigurationError, match="no part could fail with 1 cameras"):
        load(station(tmp_path, recipe='[views]\nrule = "k_of_n"\nk = 2\n'))
