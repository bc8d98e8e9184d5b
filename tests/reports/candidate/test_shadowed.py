"""A run of a shadow as people read it: pairs, labels of parts that differ, and whether enough was seen."""

from __future__ import annotations

from pathlib import Path

from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, last_run_of, runs, upsert_run
from station.records.schema import open_writer
from station.reports.candidate.in_words import directions, pairs_table, summary
from station.reports.candidate.shadowed import Shadowed, shadowed

RUN = ShadowRun(7, "shadow", "0002-b", "b" * 64, "a" * 64, "disc", "c", "operator anna", offered=4000, dropped=40)


def read(folder: Path, verdicts: list[tuple[str, str]], labels: dict[int, str]) -> Shadowed:
    """A run in which part n has the n-th verdicts (active, shadow)."""
    connection = open_writer(folder / "records.db")
    for statement in (upsert_run(RUN), *(insert_shadow(row(n, *pair)) for n, pair in enumerate(verdicts))):
        connection.execute(statement.sql, statement.values)
    assert runs(connection) == [RUN]
    assert last_run_of(connection, "b" * 64) == RUN
    return shadowed(connection, {("s", n): label for n, label in labels.items()}, RUN)


def row(number: int, active: str, shadow: str, challenge: int = 0) -> ShadowRow:
    return ShadowRow(7, "s", number, 1000 + number, 100.0 + number, challenge, active, 0.4, shadow, 0.6, "", 12.0)


def test_a_candidate_that_saves_good_parts(tmp_path: Path) -> None:
    """Twelve good parts that the active one alone rejects, and none the other way."""
    verdicts = [("PASS", "PASS")] * 3000 + [("FAIL", "PASS")] * 12 + [("FAIL", "FAIL")] * 20 + [("PASS", "ERROR")]
    found = read(tmp_path, verdicts, dict.fromkeys(range(3000, 3012), "good"))
    assert (found.seen, found.failed, found.to_label) == (3032, 1, 0)
    assert found.seen_share == 0.99
    assert found.false_rejects.finding == "better"
    assert found.escapes.finding == "not worse"
    assert found.is_enough
    assert "3,032 parts, 99.0% of those it was offered; 12 differ; 1 could not be judged; enough" in summary(found)
    head, rows = pairs_table(found)
    assert head == ["active / shadow", "PASS", "REVIEW", "FAIL", "ERROR"]
    assert rows[2] == ["FAIL", "12", "0", "20", "0"]


def test_what_nobody_has_labelled_counts_against_the_candidate(tmp_path: Path) -> None:
    verdicts = [("PASS", "PASS")] * 3000 + [("FAIL", "PASS")] * 12
    found = read(tmp_path, verdicts, {})
    assert found.escapes.not_labelled == found.to_label == 12
    assert found.escapes.finding == ""
    assert found.false_rejects.finding == "not worse"
    assert not found.is_enough


def test_a_candidate_that_lets_defects_pass(tmp_path: Path) -> None:
    verdicts = [("PASS", "PASS")] * 3000 + [("FAIL", "PASS")] * 8
    found = read(tmp_path, verdicts, dict.fromkeys(range(3000, 3008), "defective"))
    assert found.escapes.finding == "worse"
    assert directions(found)[1][:5] == ("escapes", "the shadow makes more", "0", "8", "0")


def test_master_parts_are_no_production(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "records.db")
    for statement in (upsert_run(RUN), insert_shadow(row(1, "FAIL", "PASS", challenge=3))):
        connection.execute(statement.sql, statement.values)
    found = shadowed(connection, {}, RUN)
    assert (found.seen, list(found.differing)) == (0, [])
