"""Kinds of defects on the page of engines: offered when enough was named, learned by the daemon, for maintenance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from station.hmi.engines.named import OFFERED_FROM
from station.labels.labels import decide
from station.labels.schema import open_writer
from station.labels.writing import Reviewer
from station.records.parts import parts
from station.records.schema import open_reader
from tests.bench.engine_store import serving_with_store
from tests.bench.pages import Client, Pages
from tests.bench.waiting import wait_for
from tests.hmi.maintenance_pages import Daemon
from tests.hmi.test_engines import send

BUTTON = "Learn kinds anew</button>"
OFFERED = 'class="primary">Learn kinds anew'


@pytest.fixture
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving_with_store(tmp_path_factory.mktemp("kinds")) as pages:
        yield pages


@pytest.fixture
def client(pages: Pages) -> Client:
    return pages.client("maintenance")


def name(pages: Pages, kind: str, *numbers: int) -> None:
    """A reviewer names the defect of these parts."""
    with closing(open_reader(pages.site.records)) as records:
        rows = [next(parts(records, session="s1", acquisition_id=number)) for number in numbers]
    with closing(open_writer(pages.site.labels)) as labels:
        for row in rows:
            known = labels.execute("SELECT 1 FROM classes WHERE name = ?", [kind]).fetchone()
            decide(labels, row, "defective", Reviewer("anna", "quality"), defect_class=kind,
                   new_class=None if known else "minor")  # fmt: skip


def test_kinds_are_offered_when_enough_was_named(pages: Pages, client: Client) -> None:
    text = client.get("/engines").text
    assert "The active engine suggests none." in text
    assert BUTTON not in text
    name(pages, "scratch", 1, 2)
    assert BUTTON not in client.get("/engines").text, "one kind cannot be distinguished"
    name(pages, "dent", *range(3, OFFERED_FROM))
    few = client.get("/engines").text
    assert f"Named since version 1: {OFFERED_FROM - 1} parts." in few
    name(pages, "<b>dent", OFFERED_FROM)
    text = client.get("/engines").text
    assert "Not known to it: &lt;b&gt;dent (1), dent (2), scratch (2)." in text
    assert OFFERED in text
    assert BUTTON not in pages.client("quality").get("/engines").text
    german = client.get("/engines", **{"Accept-Language": "de"}).text
    assert "Seit Version 1 benannt: 5 Teile." in german
    assert "Fehlerarten neu lernen" in german


def test_the_daemon_learns_them_for_maintenance_and_the_page_shows_what_it_does(
    pages: Pages, client: Client, daemon: Daemon
) -> None:
    name(pages, "scratch", 1, 2)
    name(pages, "dent", 3, 4, 5)
    assert send(pages.client("quality"), "/teach/kinds")[0] == 403
    assert daemon.asked == []
    assert send(client, "/teach/kinds") == (303, "/engines")
    (asked,) = daemon.asked
    assert (asked["command"], asked["action"]) == ("refresh", "kinds")
    daemon.refusal = "a refresh is under way"
    assert send(client, "/teach/kinds") == (409, "a refresh is under way")
    works = {"phase": "running", "by": "ben", "parts": 0, "step": "looks", "done": 3, "total": 9, "kinds": True}
    daemon.status["refresh"] = works
    wait_for(lambda: "kinds of defects from what people said" in client.get("/engines").text, "the work")
    daemon.status["refresh"] = {**works, "phase": "done", "detail": "0004-x"}
    wait_for(lambda: "Look at candidate 0004-x" in client.get("/engines").text, "the candidate")
