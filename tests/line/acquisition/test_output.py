"""The lines of a camera's library: each once, bounded, and read to the end."""

from __future__ import annotations

import io

from station.line.acquisition.output import MAX_CHARACTERS, MAX_LINES, OutputReader, SaidLines


def read(text: str, lines: SaidLines) -> None:
    reader = OutputReader(io.StringIO(text), lines)
    reader.join(10.0)


def test_a_line_is_posted_once_over_all_processes_of_a_camera() -> None:
    said: list[str] = []
    lines = SaidLines(said.append)
    for _ in range(3):
        read("one\n\n  two  \none\n", lines)
    assert said == ["one", "two"]


def test_a_library_that_never_stops_talking_does_not_set_the_size_of_the_log() -> None:
    said: list[str] = []
    read("".join(f"line {number}\n" for number in range(100_000)), SaidLines(said.append))
    assert len(said) == MAX_LINES
    assert said[-1].endswith("(further lines are not logged)")


def test_a_line_without_an_end_is_cut() -> None:
    said: list[str] = []
    read("".join(letter * MAX_CHARACTERS for letter in "abc"), SaidLines(said.append))
    assert [len(line) for line in said] == [MAX_CHARACTERS] * 3
