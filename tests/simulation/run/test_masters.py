"""Master parts of a demo: with ids of their own, in a section of the configuration, and in a book of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from station.configuration.load import load
from station.simulation.parts import choosing
from station.simulation.parts.pictures import GOOD
from station.simulation.parts.schedule import INSPECT, MASTERS, TEACH, ScheduledPart
from station.simulation.run.masters import book_of, challenge_section
from station.simulation.run.processes import LineState


def masters_of(teach: int) -> list[ScheduledPart]:
    return [part for part in choosing.with_masters(choosing.rendered(8, teach, 3), 3) if part.phase == MASTERS]


def state(results: Mapping[int, str], good: tuple[int, ...] = ()) -> LineState:
    line = LineState()
    line.judgements = {serial: {"result": result} for serial, result in results.items()}
    line.ends = {serial: {"bin": "good" if serial in good else "reject"} for serial in results}
    return line


@pytest.mark.parametrize(
    ("teach", "cameras", "truths"),
    [(0, 1, ["missing_hole"]), (20, 1, ["missing_hole", GOOD]), (20, 3, ["missing_hole"])],
)
def test_they_come_between_teaching_and_production_and_ids_have_no_gap(
    teach: int, cameras: int, truths: list[str]
) -> None:
    parts = choosing.with_masters(choosing.rendered(8, teach, 3), 3, cameras=cameras)
    assert [part.serial for part in parts] == list(range(1, len(parts) + 1))
    assert [part.phase for part in parts] == [TEACH] * teach + [MASTERS] * len(truths) + [INSPECT] * 8
    masters = [part for part in parts if part.phase == MASTERS]
    assert [part.truth for part in masters] == truths
    production = {part.seed for part in parts if part.phase == INSPECT}
    assert production.isdisjoint(part.seed for part in masters)
    known = {part.seed for part in parts if part.phase == TEACH and part.truth == GOOD}
    assert all(part.seed in known for part in masters if part.truth == GOOD), "one that the engine was taught with"


def test_their_section_gives_them_their_ids_alone(tmp_path: Path) -> None:
    parts = masters_of(20)
    file = tmp_path / "station.toml"
    file.write_text(f'[cameras.demo]\nproducer = "simtl"\n[engine]\npath = "engine"\n{challenge_section(parts)}')
    challenge = load(file).settings.challenge
    assert challenge.part_ids == [21, 22]
    assert [(part.name, part.expected) for part in challenge.parts] == [("missing hole", "fail"), ("good part", "pass")]
    assert challenge_section([]) == ""


def test_their_book_says_what_was_wrong_and_what_must_never_be() -> None:
    parts = [replace(part, serial=number) for number, part in enumerate(masters_of(20), start=1)]
    right = book_of(parts, state({1: "FAIL", 2: "PASS"}, good=(2,)), 2)
    assert (right.wrong, right.problems) == ((), ())
    assert [part["result"] for part in right.parts] == ["FAIL", "PASS"]
    escape = book_of(parts, state({1: "ERROR", 2: "PASS"}, good=(1, 2)), 1)
    assert escape.wrong == ('master part "missing hole" is ERROR, FAIL expected',)
    assert escape.problems == (
        'master part "missing hole" is in the good bin',
        "the PLC read results of 2 master parts, the records hold 1",
    )
    unseen = book_of(parts, state({1: "NONE"}), 0)
    assert (unseen.wrong, unseen.problems) == ((), ())
    assert [part["result"] for part in unseen.parts] == ["", ""]
