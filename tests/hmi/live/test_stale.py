"""No page shows an old PASS as current, whatever fails: a real station, its pages, and a network between them."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from station.codes import WARNINGS, WarningCode
from tests.bench.bench import Bench, good
from tests.bench.browser import visitor
from tests.bench.pages_process import PagesProcess
from tests.bench.waiting import wait_for
from tests.hmi.live_watching import look_on, now, open_live, passed_as_current, record, wait_lead

pytestmark = pytest.mark.system


class Wire:
    """The network between browser and pages: connections to `port` reach the pages until it is cut."""

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self.cut = False
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._ends = False
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def close(self) -> None:
        self._ends = True
        self._door.close()

    def _accept(self) -> None:
        while not self._ends:
            try:
                near, _ = self._door.accept()
            except OSError:
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                near.close()
                continue
            threading.Thread(target=self._carry, args=(near, far), name="wire", daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as ready, contextlib.suppress(OSError):
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while not self._ends:
                for key, _ in ready.select(0.05):
                    if self.cut:  # as a pulled cable: nothing arrives, and nobody is told
                        continue
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)


@pytest.fixture(scope="module")
def one_station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("station")
    slow: dict[str, Any] = {
        "station__deadline_ms": 10_000,
        "camera__no_frame_ms": 10_000,
    }  # on a busy machine a part takes longer
    with Bench(folder, **slow) as bench:
        yield bench


@pytest.fixture
def bench(one_station: Bench) -> Bench:
    one_station.reset()
    return one_station


@pytest.fixture
def served(bench: Bench) -> Iterator[PagesProcess]:
    served = PagesProcess(bench.config_path)
    yield served
    served.end()


@pytest.fixture
def wire(served: PagesProcess) -> Iterator[Wire]:
    wire = Wire(served.port)
    yield wire
    wire.close()


@pytest.fixture
def page(wire: Wire, browser: Browser) -> Iterator[Page]:
    with visitor(browser) as context:
        page = open_live(context, f"http://127.0.0.1:{wire.port}")
        wait_lead(page, "WAITING", "PASS")
        yield page


def stays_no_pass(page: Page, bench: Bench, fails: Callable[[], object], *leads: str) -> None:
    """A part passes, something fails, and from 1.5 s of the page's clock on no PASS is shown as current.

    `fails` returns when the station has noticed: how soon it does is its own matter.
    """
    assert bench.part(good()).passed
    wait_lead(page, "PASS")
    record(page)
    fails()
    since = now(page)
    wait_lead(page, *leads)
    look_on(page, since)
    assert passed_as_current(page, since) == []


def test_the_network_is_cut(page: Page, bench: Bench, wire: Wire) -> None:
    stays_no_pass(page, bench, lambda: setattr(wire, "cut", True), "NODATA")


def test_the_pages_stand_still_and_go_on(page: Page, bench: Bench, served: PagesProcess) -> None:
    stays_no_pass(page, bench, lambda: served.process.send_signal(signal.SIGSTOP), "NODATA")
    served.process.send_signal(signal.SIGCONT)
    wait_lead(page, "PASS", "WAITING")


def test_the_pages_are_killed(page: Page, bench: Bench, served: PagesProcess) -> None:
    stays_no_pass(page, bench, served.process.kill, "NODATA")


def test_the_station_stands_still(page: Page, bench: Bench) -> None:
    assert bench.process is not None
    process = bench.process
    try:
        stays_no_pass(page, bench, lambda: process.send_signal(signal.SIGSTOP), "NODATA")
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_camera_is_gone(page: Page, bench: Bench) -> None:
    def fails() -> None:
        bench.scene.lose_device()
        wait_for(lambda: bench.status()["cameras"]["top"]["state"] != "streaming", "the station to notice")

    try:
        stays_no_pass(page, bench, fails, "CAMERA")
    finally:
        bench.scene.restore_device()


def test_the_plc_is_gone(page: Page, bench: Bench) -> None:
    def fails() -> None:
        bench.plc.beat = False
        frozen = WARNINGS[WarningCode.PLC_HEARTBEAT_FROZEN].text
        wait_for(lambda: frozen in bench.status()["warnings"], "the station to notice")

    stays_no_pass(page, bench, fails, "PLC")


def test_the_station_is_killed_and_the_next_one_shows_no_old_part(page: Page, bench: Bench) -> None:
    stays_no_pass(page, bench, bench.kill, "NODATA")
    bench.start()
    wait_lead(page, "WAITING")
    assert page.locator("#last").inner_text() == ""
