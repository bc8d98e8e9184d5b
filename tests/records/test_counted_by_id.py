"""Counts of parts by the PLC's id: their index is followed, and not all the time in which parts came."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from station.records.schema import open_reader
from station.records.selection import Selection, counted, steps
from station.results import Verdict
from tests.bench.many_parts import fill

COUNT = 3000


def test_one_part_among_many_is_one_step(tmp_path: Path) -> None:
    """At ten million parts it took three seconds of a processor to pass over all the others."""
    fill(tmp_path, COUNT)
    with closing(open_reader(tmp_path)) as connection:
        assert len(list(steps(connection, None, None, 100))) == COUNT / 100
        assert len(list(steps(connection, None, None, 100, part_id=48))) == 1
        ((_, verdict, number),) = counted(connection, Selection(part_id=48), "recipe")
    assert (verdict, number) == (Verdict.FAIL, 1)


def test_a_line_without_ids_is_counted_in_steps_and_whole(tmp_path: Path) -> None:
    fill(tmp_path, COUNT, part_ids=False)
    with closing(open_reader(tmp_path)) as connection:
        assert len(list(steps(connection, None, None, 100, part_id=0))) == COUNT / 100
        found = counted(connection, Selection(part_id=0), "recipe")
        assert sum(number for _, _, number in found) == COUNT
        assert counted(connection, Selection(part_id=7), "recipe") == []
