"""The page of the virtual challenge: what leads, the history, who may start one, and that texts of others stay text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from station.records.engines.virtual import FILE, MOST, VirtualRun, keep_run, read_runs
from tests.bench.pages import Pages, serving
from tests.hmi.maintenance_pages import Daemon, listening_daemon
from tests.hmi.test_engines import send

RUN = VirtualRun(1_800_000_000.0, "", "e" * 64, "<b>flange", 6, 14, 80, 4, False, (("cut, 80 grey levels", 40, 37),))
WORSE = replace(RUN, at=RUN.at + 3600, by="anna", missed=41, is_worse=True)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with serving(tmp_path) as pages:
        yield pages


@pytest.fixture
def daemon(pages: Pages) -> Iterator[Daemon]:
    with listening_daemon(pages.site.station.control_socket) as daemon:
        daemon.status["virtual_challenge"] = {"state": "waiting", "at": None, "by": "", "problem": ""}
        pages.site.line.forget()
        yield daemon
    pages.site.line.forget()


def test_the_newest_run_leads_and_all_are_a_picture(pages: Pages, daemon: Daemon) -> None:
    client = pages.client("maintenance")
    assert "No challenge was made yet." in client.get("/virtual").text
    for run in (RUN, replace(RUN, at=RUN.at + 60, shown=0, missed=0, kinds=()), WORSE):
        keep_run(pages.site.station.work_dir, run)
    text = client.get("/virtual").text
    assert "FINDS LESS" in text
    assert "39 of 80 synthetic defects found" in text
    assert "&lt;b&gt;flange" in text
    assert "<b>flange" not in text
    assert "nothing could be shown" in text
    assert "<svg" in text
    assert text.index("anna") < text.index("by itself"), "the newest first"
    assert "FINDET WENIGER" in client.get("/virtual", **{"Accept-Language": "de"}).text


def test_maintenance_starts_one_and_an_operator_does_not(pages: Pages, daemon: Daemon) -> None:
    client = pages.client("maintenance")
    assert send(client, "/virtual/start") == (303, "/virtual")
    assert [(asked["command"], asked["action"]) for asked in daemon.asked] == [("monitoring", "challenge")]
    daemon.refusal = "a virtual challenge is under way: wait for it"
    assert send(client, "/virtual/start")[0] == 409
    daemon.refusal = ""
    daemon.status["virtual_challenge"] = {"state": "running", "at": 1.0, "by": "", "problem": ""}
    pages.site.line.forget()
    assert "A challenge is under way" in client.get("/virtual").text
    assert send(pages.client("operator"), "/virtual/start")[0] == 403


def test_without_station_or_with_a_spoilt_file_the_page_says_so(pages: Pages) -> None:
    assert "The station does not answer" in pages.client("maintenance").get("/virtual").text
    (pages.site.station.work_dir / FILE).write_text('{"format": 1, "runs": [{"at": 1}]}')
    assert "holds no virtual challenges" in pages.client("maintenance").get("/virtual").text


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 9, "runs": []}', '{"format": 1, "runs": 3}', "[" * 100_000])
def test_a_spoilt_history_is_moved_aside_and_begun_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=FILE):
        read_runs(tmp_path)
    keep_run(tmp_path, RUN)
    assert read_runs(tmp_path) == [RUN]
    assert (tmp_path / FILE).with_suffix(".broken").read_text() == content


def test_the_history_is_bounded(tmp_path: Path) -> None:
    for number in range(3):
        keep_run(tmp_path, replace(RUN, at=float(number)))
    assert [run.at for run in read_runs(tmp_path)] == [0.0, 1.0, 2.0]
    assert MOST <= 1000
