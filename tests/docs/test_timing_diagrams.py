"""The timing diagrams of docs/plc.md are what the handshake does today."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from docs.generate.timing_diagrams import SCENARIOS
from docs.generate.timing_drawing import Diagram
from tests.bench.places import ROOT

DOCS = ROOT / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_file_is_up_to_date(name: str) -> None:
    drawn = SCENARIOS[name]().draw().svg()
    file = DOCS / "images" / f"{name}.svg"
    assert file.read_text() == drawn, "run: make docs"


def test_the_page_shows_every_diagram_and_no_other() -> None:
    shown = re.findall(r"!\[[^]]+\]\(images/(plc-[\w-]+)\.svg\)", (DOCS / "plc.md").read_text())
    assert sorted(shown) == sorted(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_signal_and_remark_is_in_the_picture(name: str) -> None:
    diagram = SCENARIOS[name]()
    texts = [text.text for text in ElementTree.fromstring(diagram.draw().svg()).iter(f"{SVG}text")]
    for track in diagram.tracks:
        assert track.point.name in texts
    for number, mark in enumerate(diagram.marks, start=1):
        assert f"{number}   {mark.text}" in texts
        assert 0 <= mark.at_ms <= diagram.end_ms


def values(diagram: Diagram, attribute: str) -> list[float]:
    """The values that a signal takes, in order."""
    return [value for track in diagram.tracks if track.point.attribute == attribute for _, value in track.changes]


def test_the_pictures_show_what_their_remarks_say() -> None:
    part = SCENARIOS["plc-one-part"]()
    assert values(part, "pass_") == [0, 1, 0]
    assert values(part, "reject") == [1, 0, 1]
    assert values(part, "trigger_ready") == [0, 1, 0, 1]
    full = SCENARIOS["plc-buffer-overrun"]()
    assert values(full, "free_result_slots") == [8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3]
    assert values(full, "overrun") == values(full, "missed_trigger") == [0, 1, 0]
    assert [shown for shown in values(full, "inspection_id") if shown] == [1, 2, 3, 4]
    beat = SCENARIOS["plc-heartbeat-loss"]()
    assert values(beat, "pass_") == [0, 1, 0], "the pass does not come back with the heartbeat"
    assert values(beat, "warning") == [0, 1, 0]
    away = SCENARIOS["plc-offline"]()
    assert [shown for shown in values(away, "inspection_id") if shown] == [1, 2]
    assert values(away, "pass_") == [0, 1, 0]
    done = SCENARIOS["plc-command"]()
    assert values(done, "executing") == values(done, "command_completed") == values(done, "command_failed") == [0, 1, 0]
    reset = SCENARIOS["plc-reset"]()
    assert values(reset, "results_valid") == [0, 1, 0]
    assert values(reset, "busy") == [0, 1, 0]
