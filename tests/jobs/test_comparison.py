"""Candidate beside active engine: figures against their definitions, verdicts by the station's own rules."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from station.configuration import load as config
from station.jobs.comparison import Judged, auroc, compare, judge, markdown, rank_correlation
from station.jobs.refresh_labels import Label, RefreshError
from station.jobs.refresh_selection import PartImage
from tests.bench.engines.small_engine import write_small_engine

SCORES = st.lists(st.integers(0, 9).map(float), min_size=3, max_size=30)


def part(number: int, verdict: str = "PASS", label: Label | None = None) -> PartImage:
    return PartImage(f"s1/{number}", str(1000 + number), Path(f"{number}.png"), verdict, label)


@given(SCORES, SCORES)
def test_auroc_is_the_chance_that_a_bad_one_scores_higher(good: list[float], bad: list[float]) -> None:
    pairs = [1.0 if b > g else 0.5 if b == g else 0.0 for g in good for b in bad]
    assert auroc(good, bad) == pytest.approx(np.mean(pairs))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=30))
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(values, np.float64) for values in zip(*pairs, strict=True))
    found = rank_correlation(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic)


def test_what_changes() -> None:
    parts = [part(1), part(2), part(3, "REVIEW", Label.GOOD), part(4, "FAIL"), part(5, "PASS", Label.DEFECTIVE)]
    active = [Judged("PASS", 0.1), Judged("PASS", 0.2), Judged("FAIL", 0.6), Judged("FAIL", 0.9), Judged("FAIL", 0.7)]
    new = [Judged("PASS", 0.1), Judged("FAIL", 0.8), Judged("PASS", 0.2), Judged("FAIL", 0.9), Judged("PASS", 0.3)]
    result = compare(parts, ("c" * 64, new), ("a" * 64, active), seen_by_active=2)
    assert result.agreement == pytest.approx(2 / 5)
    assert [change.key for change in result.changed] == ["s1/5", "s1/2", "s1/3"]  # the escape first
    assert result.held_out == {"labelled good": 1, "labelled defective": 1, "passed": 2, "review or fail": 1}
    assert result.active is not None
    assert (result.active.good_failed, result.active.good, result.active.labelled_good_failed) == (1, 3, 1)
    assert (result.candidate.good_failed, result.candidate.defective_passed) == (1, 1)
    assert result.candidate.auroc == pytest.approx(2 / 3)
    assert result.candidate.false_reject_share == pytest.approx(1 / 3)
    assert any("lets more labelled defects pass" in note for note in result.notes)
    assert any("learned from 2 of these images" in note for note in result.notes)
    assert json.loads(result.as_json())["changed"][0]["part_id"] == "1005"
    page = markdown(result)
    assert "| 1005 | labelled defective | FAIL 0.700 | PASS 0.300 |" in page
    assert "Same verdict: 40.0%" in page


def test_without_labels_and_without_an_active_engine() -> None:
    result = compare([part(1), part(2)], ("c" * 64, [Judged("PASS", 0.1), Judged("ERROR", None)]), None)
    assert result.agreement is None
    assert result.candidate.auroc is None
    assert result.candidate.good_failed == 1  # an error ejects the part
    assert any("no active engine" in note for note in result.notes)
    assert any("No labelled defects" in note for note in result.notes)
    json.loads(result.as_json())
    assert "| engine | cccccccccccc |" in markdown(result)


def test_verdicts_are_those_of_the_stations_rules(tmp_path: Path) -> None:
    engine = write_small_engine(tmp_path / "engine", width=64, height=64)
    images = []
    for name, grey in (("good", 64), ("bad", 200)):
        images.append(("top", tmp_path / f"{name}.png"))
        assert cv2.imwrite(str(images[-1][1]), np.full((64, 64), grey, np.uint8))
    file = tmp_path / "station.toml"
    base = '[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n'
    file.write_text(base)
    seen: list[tuple[int, int]] = []
    engine_id, judged = judge(config.load(file), engine, images, lambda done, total: seen.append((done, total)))
    assert len(engine_id) == 64
    assert [result.verdict for result in judged] == ["PASS", "FAIL"]
    assert seen == [(1, 2), (2, 2)]
    file.write_text(base + "[quality]\nmin_mean_grey = 100.0\n")
    assert [result.verdict for result in judge(config.load(file), engine, images)[1]] == ["REVIEW", "FAIL"]


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    file = tmp_path / "station.toml"
    file.write_text('[cameras.top]\nproducer = "simtl"\n')
    configuration = config.load(file)
    with pytest.raises(RefreshError, match="is not there"):
        judge(configuration, tmp_path / "none", [])
    engine = write_small_engine(tmp_path / "engine", width=64, height=64)
    (tmp_path / "bad.png").write_text("not an image")
    with pytest.raises(RefreshError, match="cannot be decoded"):
        judge(configuration, engine, [("top", tmp_path / "bad.png")])
