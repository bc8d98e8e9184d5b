"""How many cores a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.cores import usable_cores
from station.line.inspection.loading import engine_threads
from tests.bench.places import ROOT


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


@pytest.mark.parametrize(
    ("of_group", "above", "cores"),
    [
        ("max 100000", "max 100000", 16),
        ("200000 100000", "max 100000", 2),
        ("max 100000", "350000 100000", 3),
        ("200000 100000", "100000 100000", 1),
        ("50000 100000", "max 100000", 1),
        ("nonsense", "", 16),
    ],
)
def test_the_smallest_quota_from_the_own_group_up(tmp_path: Path, of_group: str, above: str, cores: int) -> None:
    write(tmp_path / "own", "0::/system.slice/station.service")
    write(tmp_path / "system.slice" / "station.service" / "cpu.max", of_group)
    write(tmp_path / "system.slice" / "cpu.max", above)
    assert usable_cores(tmp_path, tmp_path / "own") == cores


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    write(tmp_path / "own", "4:memory:/x\n3:cpu,cpuacct:/docker/abc")
    write(tmp_path / "cpu,cpuacct" / "cpu.cfs_quota_us", "250000")  # a container sees its own group at the top
    write(tmp_path / "cpu,cpuacct" / "cpu.cfs_period_us", "100000")
    assert usable_cores(tmp_path, tmp_path / "own") == 2
    write(tmp_path / "cpu,cpuacct" / "cpu.cfs_quota_us", "-1")
    assert usable_cores(tmp_path, tmp_path / "own") == 16


def test_without_control_groups_it_is_the_affinity(tmp_path: Path) -> None:
    assert usable_cores(tmp_path, tmp_path / "none") == 16


def test_the_engine_leaves_one_core_to_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.line.inspection.loading.usable_cores", lambda: 2)
    assert (engine_threads(0), engine_threads(7)) == (1, 7)


def test_nothing_else_counts_cores() -> None:
    counting = ("os.cpu_count(", "sched_getaffinity(", "process_cpu_count(", "multiprocessing.cpu_count(")
    sources = [path for package in ("station", "engines", "drivers") for path in (ROOT / package).rglob("*.py")]
    found = [path.name for path in sources if any(call in path.read_text() for call in counting)]
    assert found == ["cores.py"]
