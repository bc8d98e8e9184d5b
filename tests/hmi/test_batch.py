"""The page Batch, and the batch as a filter of pages and API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from station.line.recording.stage import Recorder, RecorderSettings
from tests.bench.pages import Client, Pages, serving, some_parts
from tests.hmi.maintenance_pages import Daemon

EVIL = '<b onclick="x">8812</b>'


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """Five parts of no batch, then seven of one that is open."""
    with serving(tmp_path_factory.mktemp("pages")) as pages:
        recorder = Recorder(RecorderSettings(pages.site.records, min_free_mb=0), "s1")
        recorder.start()
        for number, record in enumerate(some_parts(), start=1):
            if number == 6:
                recorder.batches.begin(EVIL, "operator anna", product="flange", order_no="A-7", recipe="r")
            recorder.record(replace(record, part=replace(record.part, time_ns=recorder.batches.now_ns())))
        assert recorder.stop(20)
        yield pages


def begin(client: Client, **fields: str) -> tuple[int, str]:
    got = client.post("/live/batch/begin", {"csrf": client.csrf(), "name": "", "product": "", "order": "", **fields})
    return got.status, got.text


def test_the_page_shows_the_open_batch_as_text(pages: Pages) -> None:
    page = pages.client("operator").get("/live/batch").text
    assert EVIL not in page
    assert "&lt;b onclick=" in page
    assert "operator anna" in page
    assert "A-7" in page
    assert '<td class="number">7</td>' in page


def test_begin_and_end_are_asked_of_the_daemon_for_the_person(pages: Pages, daemon: Daemon) -> None:
    client = pages.client("operator")
    assert begin(client, name=" 8813 ", product="disc")[0] == 303
    assert client.post("/live/batch/end", {"csrf": client.csrf()}).status == 303
    asked = [{key: one.get(key) for key in ("command", "action", "name", "product")} for one in daemon.asked]
    assert asked == [
        {"command": "batch", "action": "begin", "name": "8813", "product": "disc"},
        {"command": "batch", "action": "end", "name": None, "product": None},
    ]
    assert {one["on_behalf"]["name"] for one in daemon.asked} == {"operator"}


def test_a_refusal_is_shown_with_what_was_typed(pages: Pages, daemon: Daemon) -> None:
    daemon.refusal = "name is missing <x>"
    status, text = begin(pages.client("operator"), product="di<sc")
    assert status == 409
    assert "name is missing &lt;x&gt;" in text
    assert 'value="di&lt;sc"' in text


def test_without_a_station_nothing_is_told_as_done(pages: Pages) -> None:
    status, text = begin(pages.client("operator"), name="8813")
    assert status == 409
    assert "refused" in text


def test_a_viewer_neither_begins_nor_ends(pages: Pages) -> None:
    client = pages.client("viewer")
    assert begin(client, name="x")[0] == 403
    assert "Begin a batch" not in client.get("/live/batch").text


@pytest.mark.parametrize(("name", "found"), [("now", 7), (EVIL, 7), ("", 12)])
def test_parts_counts_and_table_of_a_batch(pages: Pages, name: str, found: int) -> None:
    secret = pages.site.tokens.make(f"reader {found} {len(name)}", ["read"], 10, "test", via="test")
    headers = {"Authorization": f"Bearer {secret}"}

    def asked(path: str) -> object:
        return json.loads(Client(pages.port).ask("GET", f"{path}batch={quote(name)}", headers=headers).body)

    parts = asked("/api/v1/parts?")
    assert isinstance(parts, dict)
    assert len(parts["parts"]) == found
    assert {part["batch"] for part in parts["parts"]} == ({1} if name else {1, None})
    counts = asked("/api/v1/counts?by=recipe&")
    assert isinstance(counts, dict)
    assert sum(one["parts"] for one in counts["counts"]) == found
    table = pages.client("quality").get(f"/parts?batch={quote(name)}").text
    assert table.count('<td class="when">') == found


def test_a_batch_that_is_not_there_is_said(pages: Pages) -> None:
    got = pages.client("quality").get("/parts?batch=last")
    assert got.status == 400
    assert "there is none of this name" in got.text
    client = pages.client("quality")
    got = client.post("/reports/make", {"csrf": client.csrf(), "of": "batch", "batch": "nothing"})
    assert got.status == 400
    assert "There is no batch of this name" in got.text
