"""docs/plc.md says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from docs.generate import codes as codes_doc
from drivers.plc import signal_map
from drivers.plc.modbus import ModbusServerSettings
from station.line.handshake.messages import HandshakeSettings
from tests.bench.places import ROOT

PAGE = ROOT / "docs" / "plc.md"


def test_tables_are_up_to_date() -> None:
    page = PAGE.read_text()
    assert page == codes_doc.with_tables(page), "run: make docs"


def test_every_table_is_on_the_page() -> None:
    sections = re.findall(r"<!-- generated: (\w+) -->\n\|? ?(?:.|\n)*?<!-- end -->", PAGE.read_text())
    assert sections == ["points", "commands", "results", "states", "reasons", "errors", "warnings", "offline", "rules"]


def test_every_point_is_in_the_tables() -> None:
    page = signal_map.markdown()
    for point in signal_map.POINTS:
        assert re.search(rf"^\| {point.address}(-\d+)? \| {point.name} \| {point.type.value} \| ", page, re.MULTILINE)


@pytest.mark.system
def test_the_map_can_be_printed() -> None:
    command = [sys.executable, "-m", "drivers.plc.signal_map"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == signal_map.markdown()


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    page = " ".join(PAGE.read_text().split())
    server, handshake = ModbusServerSettings(), HandshakeSettings()
    assert f"written nothing for {server.writer_silence_s:g} s when another wants to write" in page
    assert f"At most {server.max_clients} clients" in page
    assert f"without a request for {server.idle_timeout_s:g} s" in page
    assert f"up to {handshake.result_slots} results wait" in page
    assert f"by themselves after {handshake.command_release_s:g} s" in page
    assert f"not ended after {handshake.command_timeout_s:g} s has failed" in page
    assert f"TriggerReady falls {handshake.plc_heartbeat_timeout_s:g} s after" in page


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="poinst"):
        codes_doc.with_tables("<!-- generated: poinst -->\n<!-- end -->")
