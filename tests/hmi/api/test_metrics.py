"""What Prometheus reads, held against the grammar of its text format, written anew here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from station.hmi.api.metrics import metrics_text
from tests.bench.pages import Pages, serving, some_parts
from tests.hmi.maintenance_pages import Daemon, listening_daemon
from tests.hmi.test_health import STATUS

NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r"[a-zA-Z_][a-zA-Z0-9_]*"
PAIR = rf'({LABEL})="((?:[^"\\\n]|\\["\\n])*)"'
NUMBER = r"[-+]?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf|nan)"
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{PAIR})(?:,{PAIR})*)\}})? ({NUMBER})", re.IGNORECASE)


def read(text: str) -> dict[str, dict[str, Any]]:
    """Families by name, as the exposition format 0.0.4 has them; fails on any line that is none of it."""
    assert text.endswith("\n")
    found: dict[str, dict[str, Any]] = {}
    for line in text.split("\n")[:-1]:
        if help_line := re.fullmatch(rf"# HELP ({NAME}) ((?:[^\\\n]|\\[\\n])*)", line):
            assert help_line[1] not in found, "a family comes once"
            found[help_line[1]] = {"help": help_line[2], "samples": {}}
        elif kind := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram|summary|untyped)", line):
            found[kind[1]]["type"] = kind[2]
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, f"no line of the format: {line!r}"
            labels = tuple(re.findall(PAIR, sample[2] or ""))
            family = found[sample[1]]
            assert "type" in family, "the type stands before the first sample"
            assert labels not in family["samples"], "the same labels twice"
            family["samples"][labels] = float(sample[sample.re.groups])
    return found


@pytest.fixture
def pages(tmp_path: Any) -> Iterator[Pages]:
    with serving(tmp_path) as pages:
        yield pages


@pytest.fixture
def daemon(pages: Pages) -> Iterator[Daemon]:
    with listening_daemon(pages.site.station.control_socket) as daemon:
        counters = {"passed": 5, "failed": 2, "review": 1, "error": 0, "missed": 3}
        daemon.status |= STATUS | {"ready": True, "counters": counters, "warning_codes": [3, 9]}
        yield daemon


def test_counters_are_those_of_the_station(pages: Pages, daemon: Daemon) -> None:
    pages.record(some_parts())
    found = read(metrics_text(pages.site))
    assert found["station_up"]["samples"] == {(): 1.0}
    assert found["station_parts_total"]["samples"][(("verdict", "FAIL"),)] == 2.0
    assert found["station_parts_total"]["type"] == "counter"
    assert len(found["station_warning"]["samples"]) == 2
    assert found["station_latency_seconds"]["samples"][(("quantile", "0.95"),)] == 0.02
    assert found["station_disk_free_bytes"]["samples"][()] > 0


def test_names_of_others_are_values_and_never_lines(pages: Pages, daemon: Daemon) -> None:
    daemon.status["recipe"] = 'a"} 1\nstation_up 0\\'
    daemon.status["cameras"] = {'x"\n': {"state": "down"}}
    found = read(metrics_text(pages.site))
    assert found["station_up"]["samples"] == {(): 1.0}
    assert (("camera", 'x\\"\\n'),) in found["station_camera_streaming"]["samples"]


def test_a_silent_station_is_not_up_and_counts_nothing(pages: Pages) -> None:
    found = read(metrics_text(pages.site))
    assert found["station_up"]["samples"] == {(): 0.0}
    assert "station_parts_total" not in found
