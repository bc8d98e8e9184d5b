"""The page of an evaluation: the verdict first, the mistakes to look at, and what others wrote as text."""

from __future__ import annotations

from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.training.evaluation.page.first import verdict_of
from engines.training.evaluation.page.writing import write_page
from engines.training.evaluation.plots import mistake_picture
from engines.training.evaluation.results import Escapes, Result, ResultFolder, write_json
from engines.training.evaluation.tables import Results
from tests.bench.engines.pictures import write_rings

EVIL = "<script>alert(1)</script>"
KIND = Escapes(count=4, passed=0.25, not_rejected=0.5, ranked_1=0.3, ranked_5=0.2)


def result(**change: object) -> Result:
    plain = Result(
        dataset="rings", detector="spatial", backbone="lite0", refine="auto", noise=10, seed=0, protocol="contaminated",
        fingerprint="f" * 64, finished="2026-01-01T00:00:00Z", false_reject_budget=0.01, false_reject=0.004,
        good_review=0.05, escape=0.25, promise_refuted=False, test_good=6, test_defective=4, reject_score=10.0,
        review_score=8.0, escapes=KIND, escapes_by_defect={"scratch": KIND, EVIL: KIND},
    )  # fmt: skip
    return replace(plain, **change)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    """Ten test images of which the sixth is a good one that is rejected, the seventh and eighth defects that pass."""
    kept = ResultFolder(tmp_path / "out")
    kept.create()
    (kept.folder / "plots").mkdir()
    images = tmp_path / "images"
    write_rings(images, 10)
    samples = [{"path": str(images / f"{at:03}.png"), "mask": "", "defect": "" if at < 6 else EVIL} for at in range(10)]
    write_json(kept.sets / "rings.json", {"samples": samples})
    return kept


def keep(folder: ResultFolder, one: Result, scores: tuple[float, ...]) -> Results:
    hot = np.linspace(0, 12, 64, dtype=np.float32).reshape(8, 8)
    worst = np.array([5, 6, 7, 8], np.intp)
    arrays = {"scores": np.array(scores), "indices": np.arange(10), "worst": worst}
    folder.write(one, {**arrays, **{f"map{at}": hot.astype(np.float16) for at in worst}})
    return Results(folder.all())


def text_of(folder: ResultFolder, results: Results) -> str:
    write_page(folder, results, {"Scores": ["plots/a b.png"]})
    return (folder.folder / "report.html").read_text(encoding="utf-8")


def test_defects_that_pass_and_good_ones_that_are_rejected_are_looked_at_first(folder: ResultFolder) -> None:
    text = text_of(folder, keep(folder, result(), (1, 1, 1, 1, 1, 11, 3, 2, 9, 20)))
    assert "Look at these 3 first" in text
    assert "The promise on good parts holds in all 1 runs." in text
    names = [text.index(f'<div class="name">{name}</div>') for name in ("007.png", "006.png", "005.png")]
    assert names == sorted(names), "the worst defect first, then the good one"
    assert "Good, and it would be rejected." in text
    assert "<b>25 of 100</b> defective parts pass" in text
    assert '<td class="number"><b>25</b></td>' in text
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    for number in (1, 2, 3):
        for end in ("plain", "map"):
            assert cv2.imread(str(folder.folder / "plots" / f"first-{number}-{end}.jpg")) is not None


def test_without_mistakes_it_may_be_used(folder: ResultFolder) -> None:
    text = text_of(folder, keep(folder, result(escape=0.0), (1, 1, 1, 1, 1, 9, 12, 13, 14, 20)))
    assert "May be used" in text
    assert 'id="first"' not in text


@pytest.mark.parametrize(
    ("change", "state", "head"),
    [
        ({"promise_refuted": True}, "FAIL", "The promise does not hold"),
        ({"promise_refuted": None}, "REVIEW", "Not known"),
        ({"error": "too little to learn"}, "FAIL", "No results"),
    ],
)
def test_the_verdict_says_no_more_than_was_measured(change: dict[str, object], state: str, head: str) -> None:
    results = Results([result(**change)])
    shown = [] if "error" in change else list(results.all)
    verdict = verdict_of(results, shown, 0)
    assert (verdict.state, verdict.head) == (state, head)


def test_failed_runs_are_said_with_their_reason(folder: ResultFolder) -> None:
    write_json(folder.runs / "other.json", asdict(result(seed=1, error=EVIL)))
    text = text_of(folder, keep(folder, result(), (1, 1, 1, 1, 1, 9, 12, 13, 14, 20)))
    assert "1 of 2 runs failed" in text
    assert "Runs that failed" in text
    assert EVIL not in text


def test_an_image_that_is_gone_is_said(folder: ResultFolder, tmp_path: Path) -> None:
    results = keep(folder, result(), (1, 1, 1, 1, 1, 11, 3, 2, 9, 20))
    for file in (tmp_path / "images").iterdir():
        file.unlink()
    assert text_of(folder, results).count("the image is not there any more") == 3


def test_the_page_is_whole(folder: ResultFolder) -> None:
    class Page(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "img", "input"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    page = Page()
    page.feed(text_of(folder, keep(folder, result(), (1, 1, 1, 1, 1, 11, 3, 2, 9, 20))))
    assert page.open == []


def test_colour_marks_the_hottest_place_however_cold_the_others_are(folder: ResultFolder) -> None:
    """Beside a defect the shown map falls far below what is ordinary: that is no reason to colour the ordinary."""
    one = result(reject_score=2.0)
    faded = np.zeros((8, 8), np.float16)
    faded[:2] = -20.0
    faded[5, 5] = 3.0
    arrays = {"scores": np.ones(10), "indices": np.arange(10), "worst": np.array([6]), "map6": faded}
    folder.write(one, arrays)
    heated = mistake_picture(folder, one, 6).heated
    assert heated is not None
    is_coloured = heated.max(axis=2) - heated.min(axis=2) > 5
    assert 0 < is_coloured.mean() < 0.05
