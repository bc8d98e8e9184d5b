"""The socket of Live: one message for each that is asked for, with the age of the beat; verdict and pictures in one."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from station.hmi.live.hub import MOST_SOCKETS
from station.live.reading import split_part
from station.results import Verdict
from tests.bench.pages import Pages, serving
from tests.bench.waiting import DEADLINE_S, wait_for
from tests.hmi.live_memory import LiveMemoryStation, numbered, station_in


@dataclass
class Viewer:
    """A page without a browser."""

    connection: ClientConnection
    state: dict[str, Any] = field(default_factory=dict)
    state_key: str = ""
    part: dict[str, Any] = field(default_factory=dict)
    part_key: str = ""

    def next(self) -> dict[str, Any]:
        self.connection.send(json.dumps({"state": self.state_key, "part": self.part_key}))
        data = self.connection.recv(timeout=DEADLINE_S)
        assert isinstance(data, bytes)
        (length,) = struct.unpack_from("<I", data)
        head: dict[str, Any] = json.loads(data[4 : 4 + length])
        if "state" in head:
            self.state = head["state"]
        if len(data) > 4 + length:
            self.part, _ = split_part(data[4 + length :])
        self.state_key, self.part_key = head["state_key"], head["part_key"]
        return head

    def sees(self, acquisition_id: int) -> bool:
        self.next()
        return self.part.get("acquisition_id") == acquisition_id


@pytest.fixture
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving(tmp_path_factory.mktemp("pages")) as pages:
        yield pages


@pytest.fixture
def station(pages: Pages) -> Iterator[LiveMemoryStation]:
    with station_in(pages.site.station.runtime_dir) as station:
        yield station


def socket_of(pages: Pages, origin: str | None = None) -> ClientConnection:
    sent = Origin(pages.address if origin is None else origin)
    return connect(f"ws://127.0.0.1:{pages.port}/live/socket", origin=sent, proxy=None)


def test_parts_and_state_come_and_what_a_page_has_is_not_sent_again(pages: Pages, station: LiveMemoryStation) -> None:
    with socket_of(pages) as connection:
        viewer = Viewer(connection)
        number = station.part(Verdict.FAIL, cameras=("top", "side"))
        wait_for(lambda: viewer.sees(number) and bool(viewer.state), "the part")
        assert [view["camera"] for view in viewer.part["views"]] == ["top", "side"]
        assert [line["acquisition_id"] for line in viewer.state["parts"]] == [number]
        assert viewer.state["leads"] is None
        wait_for(lambda: "state" not in viewer.next(), "a message with nothing but the beat")


def test_the_beat_comes_at_least_twice_a_second_and_ages(pages: Pages, station: LiveMemoryStation) -> None:
    with socket_of(pages) as connection:
        viewer = Viewer(connection)
        wait_for(lambda: bool(viewer.next()["state_key"]), "the state")
        station.stand()
        ages = [viewer.next()["beat_age_ms"] for _ in range(6)]
        assert ages == sorted(ages)
        assert ages[-1] - ages[0] >= 1000


def test_what_stands_in_the_way_leads(pages: Pages, station: LiveMemoryStation) -> None:
    with socket_of(pages) as connection:
        viewer = Viewer(connection)

        def leads() -> str:
            viewer.next()
            return str((viewer.state.get("leads") or {}).get("kind"))

        wait_for(lambda: bool(viewer.next()["state_key"]), "the state")
        for kind, change in (
            ("PLC", {"warnings": [1]}),
            ("OFFLINE", {"offline": 3}),
            ("CAMERA", {"cameras": {"top": {"streams": False, "state": "down", "detail": ""}}}),
            ("FAULT", {"fault": 1, "fault_detail": "lost frame"}),
        ):
            station.changes(**change)
            wait_for(lambda kind=kind: leads() == kind, f"{kind} to lead")  # type: ignore[misc]
        assert len([need for need in viewer.state["needs"] if need["stands"]]) == 3


def test_a_station_that_ends_is_said_and_a_new_one_shows_no_old_part(pages: Pages) -> None:
    folder = pages.site.station.runtime_dir
    with socket_of(pages) as connection:
        viewer = Viewer(connection)
        with station_in(folder) as station:
            number = station.part()
            wait_for(lambda: viewer.sees(number), "the part")
        wait_for(lambda: "no station runs" in viewer.next()["problem"], "the end of the station")
        with station_in(folder):
            wait_for(lambda: viewer.next()["part_key"] == "", "a station without a part")
            assert viewer.next()["problem"] == ""


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_a_page_of_another_origin_is_refused(pages: Pages, origin: str) -> None:
    with pytest.raises((InvalidStatus, ConnectionClosed)), socket_of(pages, origin) as connection:
        Viewer(connection).next()


@pytest.mark.parametrize("said", ["", "[]", "{", '{"part": 1}', "x" * 1000])
def test_what_no_page_asks_ends_the_socket(pages: Pages, said: str) -> None:
    with socket_of(pages) as connection:
        connection.send(said)
        with pytest.raises(ConnectionClosed, match="not what a page"):
            connection.recv(timeout=DEADLINE_S)


def test_there_are_at_most_twenty_and_a_place_is_free_again(pages: Pages, station: LiveMemoryStation) -> None:
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(socket_of(pages)) for _ in range(MOST_SOCKETS)]
        for connection in connections:
            Viewer(connection).next()
        with socket_of(pages) as one_more, pytest.raises(ConnectionClosed, match="20 live pages are open"):
            Viewer(one_more).next()
        connections.pop().close()

        def has_place() -> bool:
            try:
                with socket_of(pages) as again:
                    return bool(Viewer(again).next())
            except ConnectionClosed:
                return False

        wait_for(has_place, "the place of a page that was closed")


def test_no_picture_is_made_after_the_last_page_has_gone(pages: Pages, station: LiveMemoryStation) -> None:
    with socket_of(pages) as connection:
        viewer = Viewer(connection)
        wait_for(lambda: viewer.sees(station.part()), "a part")
    folder = pages.site.station.runtime_dir

    def is_old() -> bool:
        (stamp,) = struct.unpack("<Q", (folder / "live.watch").read_bytes())
        return bool(time.monotonic_ns() - stamp > 2e9)

    wait_for(is_old, "nobody to look: the pages may write it once more before they know that the page has gone")


def test_verdict_and_pictures_are_of_one_part_however_fast_they_come(pages: Pages, station: LiveMemoryStation) -> None:
    """Each part has its number in its picture; a slow page skips parts and mixes none."""
    with socket_of(pages) as connection:
        viewer = Viewer(connection)
        shown = set()
        for _ in range(60):
            last = [station.part(verdict, ("top", "side")) for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)][
                -1
            ]
            viewer.connection.send(json.dumps({"state": viewer.state_key, "part": viewer.part_key}))
            data = viewer.connection.recv(timeout=DEADLINE_S)
            assert isinstance(data, bytes)
            (length,) = struct.unpack_from("<I", data)
            viewer.part_key = json.loads(data[4 : 4 + length])["part_key"]
            if len(data) == 4 + length:
                continue
            part, blobs = split_part(data[4 + length :])
            number = part["acquisition_id"]
            assert number <= last
            assert part["verdict"] == ("PASS", "FAIL", "REVIEW")[(number - 1) % 3]
            for picture in blobs[::2]:
                pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
                assert pixels is not None
                difference = np.abs(pixels[:20].astype(int) - numbered(number)[:20])
                assert difference.mean() < 20
            shown.add(number)
        assert shown
