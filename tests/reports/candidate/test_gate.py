"""The gate before an activation: green, red, or not known and why; and what a person overrides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from engines.bundle.detection import KINDS
from engines.bundle.reading import read_bundle
from station.codes import ReasonCode
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, upsert_run
from station.records.engines.virtual import FILE, UNLIKELY, VirtualRun, keep_run
from station.records.schema import open_writer
from station.reports.candidate.gate import Check, GateRed, gate, misses_more, with_override
from station.results import Verdict
from tests.bench.engines.small_engine import detection_of, write_small_engine


class Engines:
    """An active engine and a candidate, with records beside them."""

    def __init__(self, folder: Path, *, found: int = 4, before: int = 4) -> None:
        self.active = write_small_engine(folder / "a", width=64, height=64, detection=detection_of(*KINDS[:before]))
        self.candidate = write_small_engine(
            folder / "b", width=64, height=64, reject_score=50.0, detection=detection_of(*KINDS[:found])
        )
        self.records = folder / "work" / "records"
        self.records.mkdir(parents=True)
        self.ids = [read_bundle(engine).manifest.engine_id for engine in (self.active, self.candidate)]

    def seen(self, verdicts: list[tuple[str, str]], masters: list[str] = []) -> None:  # noqa: B006
        """The candidate has seen parts with these verdicts (active, its own), and master parts with its own."""
        run = ShadowRun(7, "shadow", "0002-b", self.ids[1], self.ids[0], "disc", "c", "anna", offered=len(verdicts))
        rows = [ShadowRow(7, "s", n, n, 1.0, 0, a, 0.1, b, 0.2, "", 1.0) for n, (a, b) in enumerate(verdicts)]
        rows += [ShadowRow(7, "s", 9000 + n, n, 1.0, 3, "FAIL", 0.9, b, 0.9, "", 1.0) for n, b in enumerate(masters)]
        parts = (MasterPart("good one", Verdict.PASS), MasterPart("scratch", Verdict.FAIL))
        steps = tuple(
            Step(part.name, 9000 + n, part.expected, ReasonCode.NONE, Outcome.AS_EXPECTED)
            for n, part in enumerate(parts)
        )
        test = Run(3, "anna", 1.0, parts, steps=steps, verdict=RunVerdict.PASSED)
        connection = open_writer(self.records / "records.db")
        for statement in (
            upsert_run(run),
            *map(insert_shadow, rows),
            upsert_challenge(ChallengeRow(test, "disc", "", self.ids[0])),
        ):
            connection.execute(statement.sql, statement.values)
        connection.commit()
        connection.close()

    def compared(self, *, escaped: int, rejected: int) -> None:
        """What a refresh has found of labelled parts."""
        base = {"labelled_good": 14, "defective": 6}
        found = {
            "active": {**base, "engine_id": self.ids[0], "defective_passed": 1, "labelled_good_failed": 1},
            "candidate": {**base, "defective_passed": escaped, "labelled_good_failed": rejected},
        }
        (self.candidate / "refresh").mkdir()
        (self.candidate / "refresh" / "comparison.json").write_text(json.dumps(found))

    def challenged(self, engine: int, missed: int, shown: int = 80, *, is_worse: bool = False) -> None:
        """Synthetic defects were shown to the active engine (0) or to the candidate (1)."""
        kinds = (("cut, 80 grey levels", shown, shown - missed),)
        run = VirtualRun(1.0, "refresh", self.ids[engine], "disc", 6, 14, shown, missed, is_worse, kinds, engine == 1)
        keep_run(self.records.parent, run)

    @property
    def gate(self) -> dict[str, Check]:
        return {check.name: check for check in gate(self.records, self.active, self.candidate)}


def lights(engines: Engines) -> list[str]:
    return [check.light for check in engines.gate.values()]


def test_nothing_is_known_of_an_engine_that_was_only_taught(tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    assert lights(engines) == ["not known"] * 6 + ["green"]
    assert "station engine shadow" in engines.gate["shadow: escapes"].why


def test_all_green(tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    engines.seen([("PASS", "PASS")] * 2500, masters=["PASS", "FAIL"])
    engines.compared(escaped=1, rejected=0)
    engines.challenged(0, missed=9)
    engines.challenged(1, missed=12)
    assert lights(engines) == ["green"] * 7
    assert with_override(list(engines.gate.values()), "better") == "better"
    assert with_override(list(engines.gate.values()), "") == ""


def test_each_red_line_says_why(tmp_path: Path) -> None:
    engines = Engines(tmp_path, found=3)
    engines.seen([("PASS", "PASS")] * 100, masters=["PASS", "PASS"])
    engines.compared(escaped=2, rejected=1)
    found = engines.gate
    assert found["labelled gallery"].light == "red"
    assert "labelled defects that pass: 2 instead of 1" in found["labelled gallery"].why
    assert found["master parts"] == Check("master parts", "red", "scratch is PASS, FAIL expected")
    assert found["detection curve"].light == "red"
    assert "not found any more" in found["detection curve"].why
    with pytest.raises(GateRed, match=r"labelled gallery: labelled defects.*master parts: scratch is PASS.*--why TEXT"):
        with_override(list(found.values()), " ")
    said = with_override(list(found.values()), "the customer wants it")
    assert said.startswith("the customer wants it; override of the gate: labelled gallery, master parts, detection")
    assert "not known: shadow: false rejects, shadow: escapes, virtual" in said


def test_synthetic_defects_that_are_missed_are_red(tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    assert engines.gate["virtual challenge"].why.endswith("station challenge virtual --version")
    engines.challenged(1, missed=20)
    assert engines.gate["virtual challenge"].light == "green", "nothing to compare with, and no worse than taught"
    engines.challenged(0, missed=4)
    found = engines.gate["virtual challenge"]
    assert found.light == "red"
    assert found.why.startswith("60 of 80 synthetic defects found, fewer than of the active engine: 76 of 80")
    engines.challenged(1, missed=40, is_worse=True)
    found = engines.gate["virtual challenge"]
    assert (found.light, found.why) == ("red", "40 of 80 synthetic defects found, fewer than when it was taught")
    engines.challenged(1, missed=0, shown=0)
    assert engines.gate["virtual challenge"].light == "red", "a run that could show nothing takes nothing back"
    (engines.records.parent / FILE).write_text("{")
    assert engines.gate["virtual challenge"].light == "not known"


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_misses_more_as_scipy_has_it(shown: int, other: int, data: st.DataObject) -> None:
    missed, other_missed = data.draw(st.integers(0, shown)), data.draw(st.integers(0, other))

    def run(count: int, missed: int) -> VirtualRun:
        return VirtualRun(1.0, "", "", "", 1, 1, count, missed, False, ())

    table = [[missed, shown - missed], [other_missed, other - other_missed]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    assume(abs(p - UNLIKELY) > 1e-9)
    assert misses_more(run(shown, missed), run(other, other_missed)) == (p < UNLIKELY)


def test_a_shadow_that_saw_too_little_asks_for_labels(tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    engines.seen([("PASS", "PASS")] * 3000 + [("FAIL", "PASS")] * 5)
    assert engines.gate["shadow: false rejects"].light == "green"
    assert engines.gate["shadow: escapes"].light == "not known"
    assert "label 5 parts that differ" in engines.gate["shadow: escapes"].why


def test_a_run_beside_another_engine_says_nothing(tmp_path: Path) -> None:
    engines = Engines(tmp_path)
    engines.ids[0] = "f" * 64
    engines.seen([("PASS", "PASS")] * 3000)
    assert engines.gate["shadow: escapes"].light == "not known"
