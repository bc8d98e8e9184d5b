"""What a part is judged by, while one engine follows another."""

from __future__ import annotations

from dataclasses import replace

from station.line.signalling.in_force import InForce
from station.results import Identity
from tests.line.signalling.signalling_bench import inspector

BEFORE = Identity("session", "disc", 1, "before")
AFTER = Identity("session", "disc", 1, "after")


def test_parts_that_have_begun_stay_with_the_judge_before() -> None:
    in_force = InForce(BEFORE)
    in_force.install(replace(inspector(), engine_id="old"), 5)
    assert in_force.since_ns == 5
    in_force.install(replace(inspector(), engine_id="new"), 9, after=7, identity=AFTER)
    assert in_force.since_ns == 5, "what was triggered before the change is judged all the same"
    assert [(in_force.of(n).engine_id, in_force.of(n).identity) for n in (7, 8)] == [("old", BEFORE), ("new", AFTER)]
    in_force.install(replace(inspector(), engine_id="newest"), 12, after=9)
    assert [in_force.of(n).engine_id for n in (9, 10)] == ["new", "newest"]
    in_force.install(None, 20)
    assert (in_force.since_ns, in_force.of(10).engine_id) == (20, "")
