"""Slowed down by heat or power: against a small NVML in C, and where there is none."""

from __future__ import annotations

import pytest

from engines.runtimes.tensorrt.nvml import ThermalMonitor
from station.codes import WarningCode
from station.daemon.gpu_watch import GpuWatch
from station.line.signalling.messages import Warn

BUS = "0000:01:00.0"


@pytest.mark.system
@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ("0x0", ""),
        ("0x1", ""),  # idle
        ("0x4", ""),  # its power limit: as it is meant to be
        ("0x20", "the driver slows it down: too hot, 91 °C"),
        ("0x48", "the hardware slows it down: too hot, 91 °C"),
        ("0x80", "the power supply slows it down, 91 °C"),
    ],
)
def test_reasons_in_words(libnvml: str, monkeypatch: pytest.MonkeyPatch, reasons: str, words: str) -> None:
    monkeypatch.setenv("NVML_SMALL_REASONS", reasons)
    monitor = ThermalMonitor(BUS, libnvml)
    assert monitor.is_there
    assert monitor.slowdown() == words
    monitor.close()
    monitor.close()
    assert monitor.slowdown() == ""


def test_nothing_is_known_without_nvml(libnvml: str, libcuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVML_SMALL_REASONS", "0x40")
    for missing in (ThermalMonitor(BUS, "libnone.so"), ThermalMonitor(BUS, libcuda), ThermalMonitor("", libnvml)):
        assert not missing.is_there
        assert missing.slowdown() == ""
    monkeypatch.setenv("NVML_SMALL_INIT", "999")
    assert not ThermalMonitor(BUS, libnvml).is_there


def test_a_driver_that_does_not_answer_says_nothing(libnvml: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = ThermalMonitor(BUS, libnvml)
    monkeypatch.setenv("NVML_SMALL_REASONS", "0x40")
    monkeypatch.setenv("NVML_SMALL_FAILS", "15")
    assert monitor.slowdown() == ""


def test_the_warning_comes_and_goes_once(libnvml: str, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[Warn] = []
    watch = GpuWatch(ThermalMonitor(BUS, libnvml), posted.append)
    for reasons in ("0x0", "0x40", "0x40", "0x0", "0x0"):
        monkeypatch.setenv("NVML_SMALL_REASONS", reasons)
        watch.look()
    assert posted == [Warn(WarningCode.GPU_SLOWED_DOWN, True), Warn(WarningCode.GPU_SLOWED_DOWN, False)]


def test_the_watch_starts_and_stops(libnvml: str) -> None:
    watch = GpuWatch(ThermalMonitor(BUS, libnvml), lambda _: None, period_s=0.01)
    watch.start()
    assert watch.stop(20.0)
    without = GpuWatch(ThermalMonitor(BUS, "libnone.so"), lambda _: None)
    without.start()
    assert without.stop(20.0)
