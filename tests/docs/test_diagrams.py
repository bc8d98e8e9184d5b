"""Everything generated is what the code makes of it now; the diagrams of rooms and threads leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate.__main__ import CURE, documents
from docs.generate.rooms import ENGINES, LINE, STATION, rooms
from docs.generate.source import layers
from docs.generate.svg import Svg
from docs.generate.threads import other_threads, past_signalling, ports, stages, threads


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_the_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == documents()[path](), CURE


def texts(svg: Svg) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg.document()))


@pytest.mark.parametrize("contract", [STATION, LINE, ENGINES])
def test_every_room_of_a_contract_is_in_the_picture(contract: str) -> None:
    shown = texts(rooms()).split()
    assert [room for floor in layers(contract) for room in floor if room.strip("()") not in shown] == []


def test_every_thread_message_and_port_is_in_the_picture() -> None:
    found, shown = stages(), texts(threads()).split()
    assert set(found) == {"acquisition", "signalling", "inspection", "ejection", "recording"}
    names = [stage.thread for stage in found.values()] + [name for name, _ in other_threads()]
    names += [
        *found["signalling"].takes,
        *found["recording"].takes,
        *(port for some in ports().values() for port in some),
    ]
    names += past_signalling("ejection")
    assert [name for name in names if name not in shown] == []
    assert len(found["signalling"].takes) > 10


def test_a_line_that_is_too_long_ends_in_an_ellipsis() -> None:
    svg = Svg(100, 100, "test")
    svg.lines(0, 0, 60, "one two three four five six seven", most=2)
    assert texts(svg).endswith("...")
