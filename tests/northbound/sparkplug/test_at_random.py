"""The edge node through random days: whatever happens in whatever order, the strict host takes every message."""

from __future__ import annotations

import pytest

from tests.northbound.sparkplug.walk import walk


@pytest.mark.parametrize(("host", "brokers"), [("", 1), ("scada", 1), ("scada", 3)])
def test_a_random_day_breaks_no_rule(host: str, brokers: int) -> None:
    seen = walk(seed=7, steps=8000, host=host, brokers=brokers)
    assert seen["parts"] > 200
    assert seen["births"] > 50
    assert seen["connections"] > 50
    assert seen["stored"] > 20
