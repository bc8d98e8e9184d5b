"""Lists that grow are followed page by page: nothing is missed, nothing comes twice, and what is new comes later."""

from __future__ import annotations

import io
import itertools
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from station.codes import ReasonCode
from station.hmi.api.endpoints import BASE
from station.labels.intake import ReviewRules, take_in
from station.labels.schema import open_writer as open_labels
from station.records.audit import AuditRow, insert_audit
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.events import EventRow, insert_event
from station.records.schema import open_reader
from station.records.statement import Statement
from station.results import Verdict
from tests.bench.pages import Answer, Client, Pages, serving, some_parts
from tests.bench.sample_parts import WALL_TIME


@pytest.fixture
def pages(tmp_path: Any) -> Iterator[Pages]:
    with serving(tmp_path) as pages:
        pages.record(some_parts())
        yield pages


@pytest.fixture
def secret(pages: Pages) -> str:
    return pages.site.tokens.make("mes", ["read", "audit"], 10, "test", via="test")


def ask(pages: Pages, secret: str, path: str) -> Answer:
    return Client(pages.port).ask("GET", BASE + path, headers={"Authorization": f"Bearer {secret}"})


def found(pages: Pages, secret: str, path: str) -> Any:
    got = ask(pages, secret, path)
    assert got.status == 200, got.text
    return json.loads(got.text)


def enter(pages: Pages, *statements: Statement) -> None:
    with closing(sqlite3.connect(pages.site.records / "records.db")) as connection:
        for statement in statements:
            connection.execute(statement.sql, statement.values)
        connection.commit()


def follow(pages: Pages, secret: str, path: str, key: str) -> tuple[list[Any], int]:
    """All pages from the first on, and where the next one begins."""
    after: int = 0
    seen: list[Any] = []
    while True:
        page = found(pages, secret, f"{path}{'&' if '?' in path else '?'}limit=5&after={after}")
        if not page[key]:
            assert page["after"] == after
            return seen, after
        seen += page[key]
        after = page["after"]


def test_parts_are_followed_as_they_are_recorded(pages: Pages, secret: str) -> None:
    seen, after = follow(pages, secret, "/parts", "parts")
    assert [part["acquisition_id"] for part in seen] == list(range(1, 13))
    pages.record([part for part in some_parts(count=15) if part.part.acquisition_id > 12])
    page = found(pages, secret, f"/parts?after={after}")
    assert [part["acquisition_id"] for part in page["parts"]] == [13, 14, 15]
    fails, _ = follow(pages, secret, "/parts?verdict=FAIL&engine=eee", "parts")
    assert [part["acquisition_id"] for part in fails] == [2, 6, 10, 14]
    assert found(pages, secret, "/parts?engine=f")["parts"] == []
    assert ask(pages, secret, f"/parts?after=0&before={WALL_TIME}_1").status == 400


def test_events_and_changes_are_followed(pages: Pages, secret: str) -> None:
    begin_events, begin_changes = (
        follow(pages, secret, path, key)[1] for path, key in (("/events", "events"), ("/audit", "changes"))
    )
    for number in range(12):
        enter(
            pages,
            insert_event(EventRow("s1", WALL_TIME + number, f"kind{number}", "info", "<b>")),
            insert_audit("s1", AuditRow(WALL_TIME + number, "anna", "recipe", "a", f"b{number}", "done", "")),
        )
    events, after = follow(pages, secret, "/events", "events")
    new = [event for event in events if event["id"] > begin_events]
    assert [event["kind"] for event in new] == [f"kind{number}" for number in range(12)]
    changes, _ = follow(pages, secret, "/audit", "changes")
    assert [change["after"] for change in changes if change["id"] > begin_changes] == [f"b{n}" for n in range(12)]
    newest = found(pages, secret, "/events?limit=2")
    assert [event["kind"] for event in newest["events"]] == ["kind10", "kind11"], "without after: the newest"
    assert newest["after"] == after


def test_the_audit_trail_needs_a_right_of_its_own(pages: Pages) -> None:
    reader = pages.site.tokens.make("reader", ["read"], 10, "test", via="test")
    auditor = pages.site.tokens.make("auditor", ["audit"], 10, "test", via="test")
    assert ask(pages, reader, "/audit").status == 403
    assert ask(pages, auditor, "/events").status == 403
    assert ask(pages, auditor, "/audit").status == 200


def test_challenge_tests_are_followed(pages: Pages, secret: str) -> None:
    step = Step("hole", 7, Verdict.PASS, ReasonCode.NONE, Outcome.ESCAPE)
    parts = (MasterPart("hole", Verdict.FAIL),)
    for number in range(1, 8):
        run = Run(number, "anna", WALL_TIME, parts, steps=(step,), verdict=RunVerdict.FAILED)
        enter(pages, upsert_challenge(ChallengeRow(run, "flange", "", "")))
    seen, _ = follow(pages, secret, "/challenges", "challenges")
    assert [run["test"] for run in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert (seen[0]["escape"], seen[0]["steps"][0]["outcome"]) == (True, "escape")


def test_dispositions_say_what_became_of_parts_in_review(pages: Pages, secret: str) -> None:
    with closing(open_labels(pages.site.labels)) as labels, closing(open_reader(pages.site.records)) as records:
        take_in(labels, records, ReviewRules(), WALL_TIME + 100)
    since = "2027-01-15T00:00:00Z"
    seen, _ = follow(pages, secret, f"/dispositions?since={since}", "dispositions")
    assert [one["acquisition_id"] for one in seen] == [3, 7, 11]
    assert {(one["treatment"], one["verdict"]) for one in seen} <= {("timed out", "FAIL"), ("open", None)}
    assert ask(pages, secret, "/dispositions?since=x").status == 400


def test_shifts_are_those_of_the_calendar(pages: Pages, secret: str) -> None:
    shifts = found(pages, secret, "/shifts?since=3d")["shifts"]
    assert len(shifts) in (4, 5)
    assert all(one["end"] == two["start"] for one, two in itertools.pairwise(shifts))
    assert ask(pages, secret, "/shifts?since=never").status == 400
    assert len(found(pages, secret, "/shifts?since=2000-01-01")["shifts"]) == 1000, "bounded"


def test_a_part_is_found_by_the_id_of_the_plc(pages: Pages, secret: str) -> None:
    (part,) = found(pages, secret, "/parts/by-id/1002")["parts"]
    assert part["acquisition_id"] == 2
    assert found(pages, secret, "/parts/by-id/7")["parts"] == []
    assert found(pages, secret, "/parts/by-id/99999999999999999999")["parts"] == []


def test_map_trace_and_evidence_of_a_part(pages: Pages, secret: str) -> None:
    got = ask(pages, secret, "/parts/s1/2/views/top/map.png")
    assert (got.status, got.headers["content-type"], got.body[:4]) == (200, "image/png", b"\x89PNG")
    (view,) = found(pages, secret, "/parts/s1/2")["views"]
    assert (view["map_low"], view["map_high"]) == (-1.0, 2.0)
    assert ask(pages, secret, "/parts/s1/2/views/none/map.png").status == 404
    assert ask(pages, secret, "/parts/s1/12/views/top/map.png").status == 404, "it had no frame"
    assert found(pages, secret, "/parts/s1/2/trace")["steps"][0]["name"].startswith("trigger")
    got = ask(pages, secret, "/parts/s1/2/evidence.zip")
    assert "1002" in got.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
        assert "SHA256SUMS" in archive.namelist()
        assert "token mes" in archive.read("about.json").decode()


@pytest.mark.parametrize("how", ["link", "linked folder", "way out", "absolute", "fifo", "nul"])
def test_no_row_leads_out_of_the_records(pages: Pages, secret: str, how: str) -> None:
    """A row or a link that somebody has put there must not show a file of the computer."""
    records = pages.site.records
    (records.parent / "secret.png").write_bytes(b"\x89PNG secret")
    inside = records / "images"
    inside.mkdir(exist_ok=True)
    match how:
        case "link":
            (inside / "x.png").symlink_to(records.parent / "secret.png")
        case "linked folder":
            (inside / "out").symlink_to(records.parent)
        case "fifo":
            os.mkfifo(inside / "x.png")
    path = {
        "linked folder": "images/out/secret.png", "way out": "../secret.png", "nul": "images/x\0.png",
        "absolute": str(records.parent / "secret.png"),
    }.get(how, "images/x.png")  # fmt: skip
    enter(pages, Statement("UPDATE views SET map_path = :path, image_path = :path WHERE part = 2", {"path": path}))
    got = ask(pages, secret, "/parts/s1/2/views/top/map.png")
    assert (got.status, b"secret" in got.body) == (404, False)
    assert ask(pages, secret, "/parts/s1/2/views/top/image.jpg").status == 404
    with zipfile.ZipFile(io.BytesIO(ask(pages, secret, "/parts/s1/2/evidence.zip").body)) as archive:
        assert not any(b"\x89PNG secret" in archive.read(name) for name in archive.namelist())


def test_readyz_says_whether_the_records_can_be_read(pages: Pages) -> None:
    client = Client(pages.port)
    assert (client.get("/readyz").status, client.get("/readyz").text) == (200, "ready\n")
    (pages.site.records / "records.db").rename(pages.site.records / "away.db")
    assert (client.get("/readyz").status, client.get("/readyz").text) == (503, "not ready\n")


def test_a_broken_recipe_is_listed_with_its_problem(pages: Pages, secret: str) -> None:
    (pages.folder / "recipes").mkdir()
    (pages.folder / "recipes" / "good.toml").write_text('number = 3\ndescription = "<b>"\n')
    (pages.folder / "recipes" / "bad.toml").write_text("number = 0\n")
    bad, good = found(pages, secret, "/recipes")["recipes"]
    assert (good["number"], good["description"], good["problem"]) == (3, "<b>", "")
    assert (bad["number"], "number" in bad["problem"]) == (None, True)


def test_a_filter_that_is_mistyped_is_no_filter_at_all_and_is_refused(pages: Pages, secret: str) -> None:
    got = ask(pages, secret, "/parts?verdct=FAIL")
    assert got.status == 400
    assert 'did you mean "verdict"?; allowed: since' in json.loads(got.text)["detail"]
    assert ask(pages, secret, "/parts?limit=1&limit=2").status == 400
    assert ask(pages, secret, "/parts?verdict=FAIL&verdict=REVIEW").status == 200
    assert "it takes none" in ask(pages, secret, "/status?x=1").text


def test_a_refusal_says_what_is_allowed_instead(pages: Pages, secret: str) -> None:
    client = Client(pages.port)
    got = client.ask("DELETE", f"{BASE}/parts")
    assert (got.status, set(got.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert "allow" in client.ask("PUT", "/parts").headers, "pages, too"
    assert client.get(f"{BASE}/parts").headers["www-authenticate"] == "Bearer"
