"""The fuzzers in short, each in this process; `benchmarks/fuzz` takes a million inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz.campaign import PLACE, Result, input_of, run, work
from benchmarks.fuzz.mutations import mutated, mutated_text
from benchmarks.fuzz.targets import TARGETS
from tests.bench.cameras import needs_lies

INPUTS = 150


@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=needs_lies if name == "gentl" else ()) for name in TARGETS]
)
def test_mutated_input_ends_in_an_outcome_and_never_in_an_exception(target: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_bytes(bytes(PLACE.size))
    result = work(target, 0, INPUTS, 3, place)
    assert result.problems == []
    assert result.inputs == sum(result.outcomes.values()) == INPUTS
    assert len(result.outcomes) > 1, "some inputs are refused, and some are not"


def test_an_input_follows_from_its_number_alone() -> None:
    first = mutated(b"x" * 100, input_of(1, "images", 7))
    assert first == mutated(b"x" * 100, input_of(1, "images", 7))
    assert first != mutated(b"x" * 100, input_of(1, "images", 8))
    assert mutated_text("a = 1\nb = 2\n", input_of(1, "x", 1)) == mutated_text("a = 1\nb = 2\n", input_of(1, "x", 1))


def test_a_run_that_was_ended_goes_on_and_a_run_of_another_seed_does_not(tmp_path: Path) -> None:
    shown: list[str] = []
    state = tmp_path / "state.json"
    assert run(10, 1, state, shown.append, ("control",))["control"].inputs == 10
    again = run(20, 1, state, shown.append, ("control",))["control"]
    assert (again.inputs, len(shown)) == (20, 2)
    assert isinstance(again, Result)
    with pytest.raises(ValueError, match="is of seed 1"):
        run(20, 2, state, shown.append, ("control",))
