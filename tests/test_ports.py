"""Ports of tests: no other test, and no outgoing connection of this computer, gets one before its server listens."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.places import ROOT
from tests.bench.ports import PORTS, free_port

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
ASK = """
import sys
from tests.bench import ports
ports.PORTS = range(int(sys.argv[1]), int(sys.argv[1]) + 1)
try:
    print(ports.free_port())
except AssertionError:
    print("none")
"""


def test_each_is_another_one_below_those_of_outgoing_connections() -> None:
    taken = [free_port() for _ in range(100)]
    assert len(set(taken)) == 100
    assert max(PORTS) < int(OUTGOING.read_text().split()[0])


def test_one_that_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setattr("tests.bench.ports.PORTS", range(port, port + 1))
    monkeypatch.setattr("tests.bench.ports._given", set[int]())
    with socket.create_server(("127.0.0.1", port)), pytest.raises(AssertionError, match="no port is free"):
        free_port()


@pytest.mark.system
def test_another_process_does_not_get_it() -> None:
    port = free_port()
    done = subprocess.run([sys.executable, "-c", ASK, str(port)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"
