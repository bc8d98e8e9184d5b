"""The control socket goes on whatever its clients and the machine do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.control import ControlError, request
from station.daemon.control_server import MOST_CLIENTS, ControlServer
from tests.bench.waiting import wait_for


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def server(tmp_path: Path, gate: threading.Event) -> Iterator[ControlServer]:
    server = ControlServer(tmp_path / "sock", {"status": lambda _: {}, "slow": lambda _: {"waited": gate.wait(20)}})
    server.start()
    yield server
    gate.set()
    server.close()


def test_a_thread_that_cannot_be_started_costs_one_client(
    tmp_path: Path, server: ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    failed: list[threading.Thread] = []

    def fails_once(thread: threading.Thread) -> None:
        if not failed:
            failed.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fails_once)
    with pytest.raises(ControlError):
        request(tmp_path / "sock", {"command": "status"})
    assert request(tmp_path / "sock", {"command": "status"})["ok"]
    server.close()  # does not wait for a thread that was never started
    assert not server.is_alive


def test_more_clients_than_there_are_places_are_sent_away(
    tmp_path: Path, server: ControlServer, gate: threading.Event
) -> None:
    clients = []
    for _ in range(MOST_CLIENTS):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "sock"))
        client.sendall(b'{"command": "slow"}\n')
        clients.append(client)

    def is_full() -> bool:
        try:
            return not request(tmp_path / "sock", {"command": "status"})["ok"]
        except ControlError:
            return True

    wait_for(is_full, "a client that is sent away")
    gate.set()
    assert all(client.recv(4096) for client in clients)
    for client in clients:
        client.close()
    wait_for(lambda: not is_full(), "a place")
    turns = server.turns
    wait_for(lambda: server.turns > turns, "a turn")
