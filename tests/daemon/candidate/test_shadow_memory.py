"""What a restart knows of the shadow: the file, whatever is in it, and the run that goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from station.daemon.candidate.shadow_memory import Shadowed, read, run_to_go_on, write
from station.records.engines.shadows import ShadowRun, upsert_run
from station.records.schema import open_writer

WANTED = Shadowed("/engines/disc", "0002-a89e0cb2eadc", "shadow", "operator anna")
RUN = ShadowRun(7, "shadow", "0002-a89e0cb2eadc", "b" * 64, "a" * 64, "disc", "c", "operator anna")


def test_what_is_wanted_is_kept_and_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "shadow.json"
    assert read(file) is None
    write(file, WANTED)
    assert read(file) == WANTED
    write(file, None)
    write(file, None)
    assert read(file) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "store": "s", "version": "0002-a89e0cb2eadc", "purpose": "shadow", "by": "a"}',
        '{"format": 1, "store": "s", "version": "../x", "purpose": "shadow", "by": "a"}',
        '{"format": 1, "store": "s", "version": "0002-a89e0cb2eadc", "purpose": "dance", "by": "a"}',
        '{"format": 1, "store": "s"}',
    ],
)
def test_a_file_that_cannot_be_used_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "shadow.json"
    file.write_text(text)
    assert read(file) is None


def test_only_the_same_run_that_had_not_ended_goes_on(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    assert run_to_go_on(records, RUN) is None, "there are no records yet"
    connection = open_writer(records / "records.db")

    def enter(run: ShadowRun) -> None:
        statement = upsert_run(run)
        connection.execute(statement.sql, statement.values)

    enter(replace(RUN, offered=9, dropped=2))
    assert run_to_go_on(records, replace(RUN, run=8)) == replace(RUN, offered=9, dropped=2)
    assert run_to_go_on(records, replace(RUN, run=8, configuration="d")) is None
    assert run_to_go_on(records, replace(RUN, run=8, active_engine_id="f" * 64)) is None
    enter(replace(RUN, end_wall_time=1.0, ended_why="switched off"))
    assert run_to_go_on(records, replace(RUN, run=8)) is None
