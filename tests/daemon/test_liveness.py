"""A stage that stands still is found by its turns, and a pause of the whole process is none of a stage."""

from __future__ import annotations

from station.daemon.supervisor import Liveness


def test_a_stage_that_does_not_turn_is_found_after_the_limit() -> None:
    liveness = Liveness(limit_turns=3)
    found = [liveness.standing({"signalling": min(turn, 5), "control": turn}) for turn in range(10)]
    assert found == [[]] * 9 + [["signalling"]]


def test_one_turn_is_enough_to_be_well_again() -> None:
    liveness = Liveness(limit_turns=1)
    assert [liveness.standing({"control": count}) for count in (0, 0, 0, 1)] == [[], [], ["control"], []]
