"""What takes longer than a page: one at a time, followed, given up, and never in the way of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from station.hmi.work import WorkRefused, Works
from tests.bench.slow_work import slow_work
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system


@pytest.fixture
def works() -> Iterator[Works]:
    works = Works()
    yield works
    works.close()


def ended(works: Works) -> bool:
    return works.last is not None and not works.last.is_running


def test_its_progress_and_its_result_are_there_for_everybody(
    works: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = slow_work(tmp_path, monkeypatch)
    assert works.last is None
    works.start("report", "shift day", "anna", ["report"])
    wait_for(lambda: works.last is not None and works.last.total == 20, "a sign of progress")
    assert works.last is not None
    assert (works.last.phase, works.last.step, works.last.done) == ("running", "parts", 5)
    with pytest.raises(WorkRefused, match="shift day is under way, asked for by anna: one at a time"):
        works.start("compare", "other", "ben", ["report"])
    gate.open("report r.pdf was not written")
    wait_for(lambda: ended(works), "the end")
    assert (works.last.phase, works.last.why) == ("done", "report r.pdf was not written")
    assert works.last.result["report"] == "of_a_test"
    assert works.of("compare") is None
    assert works.of("report") is works.last


def test_a_failure_is_the_sentence_of_the_command(
    works: Works, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_work(tmp_path, monkeypatch).open("failed: no shift\nof that name")
    works.start("report", "x", "anna", [])
    wait_for(lambda: ended(works), "the end")
    assert works.last is not None
    assert (works.last.phase, works.last.why) == ("failed", "failed: no shift\\nof that name")
    works.start("report", "y", "anna", [])  # the next one may begin
    wait_for(lambda: ended(works), "the end")


def test_it_is_given_up_by_a_person_by_its_time_and_with_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_work(tmp_path, monkeypatch)
    quick = Works(longest_s=0.05)
    quick.start("report", "x", "anna", [])
    wait_for(lambda: ended(quick), "the end")
    assert quick.last is not None
    assert quick.last.why == "it took longer than 0.05 s"
    works = Works()
    works.start("report", "x", "anna", [])
    works.stop("given up by ben")
    wait_for(lambda: ended(works), "the end")
    assert works.last is not None
    assert (works.last.phase, works.last.why) == ("failed", "given up by ben")
    works.start("report", "x", "anna", [])
    works.close()
    assert works.last.why == "the pages were stopped"
    works.stop("nothing is under way")
