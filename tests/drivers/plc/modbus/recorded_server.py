"""A Modbus TCP server on a free port that keeps what it reports, and the fixtures that start it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.plc.modbus import ModbusServerSettings, ModbusTcpServerLink
from drivers.plc.protocol import LinkEvent, PlcInputs
from tests.bench.clients import (
    RawClient,
)

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY, OTHER_UNIT = 1, 2, 3, 6, 11


class Server:
    """A link on a free port with everything that it reported."""

    def __init__(self, settings: ModbusServerSettings) -> None:
        self.inputs: list[PlcInputs] = []
        self.events: list[LinkEvent] = []
        self.threads: set[str] = set()
        self.link = ModbusTcpServerLink(settings, self._on_inputs, self.events.append)

    def _on_inputs(self, inputs: PlcInputs) -> None:
        self.threads.add(threading.current_thread().name)
        self.inputs.append(inputs)

    @property
    def port(self) -> int:
        return self.link.port

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers with the given settings; stops them at the end."""
    running: list[Server] = []

    def start(**changes: Any) -> Server:
        server = Server(dataclasses.replace(ModbusServerSettings(port=0), **changes))
        server.link.__enter__()
        running.append(server)
        return server

    yield start
    for server in running:
        server.link.__exit__(None, None, None)
        assert not server.link.is_alive


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start()


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient(server.port) as client:
        yield client
