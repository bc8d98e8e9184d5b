"""For all tests: settings of the process, and the closing line of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings
from playwright.sync_api import Browser

from tests.bench import lanes
from tests.bench.browser import chromium
from tests.bench.programs import packages_of

# How long an example takes is a matter of the machine, and of benchmarks. A run checks the same examples everywhere, so
# that one that fails, fails again; `HYPOTHESIS_PROFILE=explore make fast` looks for others.
settings.register_profile("station", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "station"))

# Tests run beside each other: threads that wait for work must not take the cores away from those that have some.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
for threads in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(threads, "1")

# Tests run beside each other: whatever gave way to all of them would come to no end.
os.environ["STATION_GIVES_WAY"] = "no"

# A shell that starts a command in the background has it ignore Ctrl-C, and all that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

lanes.watch_for_processes()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of a process: Playwright allows no second one. Tests that use it are of the system lane."""
    with chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """What a test leaves ignored, every process that a later test starts ignores, too, and comes to no end."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    after = signal.signal(signal.SIGTERM, before)
    assert after is before, f"the test leaves SIGTERM to {after}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lanes.mark_by_place(items)
    items.sort(key=lanes.comes_first)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    lanes.now_running(item)
    try:
        return (yield)
    finally:
        lanes.now_running(None)


def closing_line(reasons: list[str]) -> str:
    """What was not run and why, in one line; empty when everything ran."""
    packages = [packages_of(reason) for reason in reasons]
    missing = sorted({package for names in packages for package in names})
    counts = {
        f"for a missing program (Debian: apt install {' '.join(missing)})": sum(map(bool, packages)),
        "for want of an image set (STATION_DATASETS)": sum("STATION_DATASETS" in reason for reason in reasons),
        "for want of .venv-fleet (make fleet-test)": sum(".venv-fleet" in reason for reason in reasons),
        "for the GPU or TensorRT of this machine": sum("GPU" in reason or "TensorRT" in reason for reason in reasons),
    }
    counts["for another reason, see above"] = len(reasons) - sum(counts.values())
    parts = [f"{count} {why}" for why, count in counts.items() if count]
    return f"Not run: {', '.join(parts)}." if parts else ""


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("skipped", [])
    line = closing_line([str(report.longrepr[2]) for report in reports])
    if line:
        terminalreporter.write_line(line, yellow=True)
