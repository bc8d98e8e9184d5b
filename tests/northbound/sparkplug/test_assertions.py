"""Each assertion of the specification has its test, or a reason why it is not a station's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest

from drivers.mqtt.messages import Publication
from station.northbound.sparkplug.edge_node import Action, Connect, Reading
from tests.northbound.sparkplug.assertion_ids import IDS
from tests.northbound.sparkplug.assertions import NOT_OURS, ON_THE_WIRE
from tests.northbound.sparkplug.node_bench import Bench

ROOMS = (Path(__file__).parent, Path(__file__).parents[2] / "drivers" / "mqtt")
BEGINNINGS = [beginning for beginnings in NOT_OURS.values() for beginning in beginnings]


@lru_cache(maxsize=1)
def whole_session() -> tuple[Publication, ...]:
    """Births, data over the end of the numbers, a rebirth, the death of the line, a lost connection, a stop, wills."""
    bench = Bench()
    told: list[Publication] = []
    perform = bench.do

    def do(actions: Sequence[Action]) -> None:
        told.extend(one.will for one in actions if isinstance(one, Connect))
        told.extend(one for one in actions if isinstance(one, Publication))
        perform(actions)

    bench.do = do  # type: ignore[method-assign]
    bench.born()
    for number in range(300):
        bench.part(f"s/{number}", stored=number % 3 == 0)
        do(bench.node.publish_node([Reading("Waiting", number, bench.time_ms)], bench.time_ms))
    bench.after(5)
    bench.ask_rebirth()
    do(bench.node.device_there(False, bench.time_ms))
    do(bench.node.device_there(True, bench.time_ms))
    bench.lose()
    bench.after(60)
    do(bench.node.connected())
    do(bench.node.subscribed(bench.now_s, bench.time_ms))
    do(bench.node.stop(bench.time_ms))
    return tuple(told)


@pytest.mark.parametrize("rule", sorted(ON_THE_WIRE))
def test_a_whole_session_keeps(rule: str) -> None:
    assert rule in IDS
    assert ON_THE_WIRE[rule](list(whole_session()))


def test_every_assertion_is_shown_or_not_a_stations() -> None:
    text = "".join(file.read_text() for room in ROOMS for file in room.glob("*.py") if file.name != "assertion_ids.py")
    words = set(re.findall(r"[A-Za-z0-9-]+", text))
    ours = [one for one in IDS if not one.startswith(tuple(BEGINNINGS))]
    assert [one for one in ours if one not in words and one not in ON_THE_WIRE] == []
    assert [one for one in BEGINNINGS if not any(known.startswith(one) for known in IDS)] == [], "names of no assertion"
    assert len(ours) == 150
