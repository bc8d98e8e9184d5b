"""The API: every endpoint of its description with whatever is asked, tokens, and labels of programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from station.access.accounts import PEOPLE_ROLES
from station.access.accounts_schema import AccountError
from station.access.tokens import Tokens
from station.hmi.api import production
from station.hmi.api.endpoints import BASE, ENDPOINTS, Endpoint, openapi
from station.labels.labels import read_labels
from station.records.batches.rows import BatchRow, upsert_batch
from station.records.schema import DATABASE_FILE, open_writer
from station.reports.production.figures import NOT_KNOWN, percent
from station.reports.production.making import Order, make
from station.reports.production.reading import Period
from station.reports.production.stored import as_json
from tests.bench.engine_store import serving_with_store
from tests.bench.json_schema import misfits
from tests.bench.pages import Answer, Client, Pages
from tests.bench.sample_parts import WALL_TIME
from tests.hmi.maintenance_pages import Daemon, listening_daemon
from tests.hmi.test_engines import send
from tests.hmi.test_health import STATUS

KEPT = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving_with_store(tmp_path_factory.mktemp("api")) as pages:
        order = Order(Period("day", WALL_TIME - 3600, WALL_TIME + 3600))
        report, _ = make(pages.site.records, order, station="x", deadline_ms=500.0, now=WALL_TIME + 7200)
        row = BatchRow(1, "8812 <b>", "flange", "A-7", "flange", WALL_TIME, None, "plc", "")
        with closing(open_writer(pages.site.records / DATABASE_FILE)) as connection:
            for one in (row, replace(row, number=2, name="8813", start_s=WALL_TIME + 60)):
                statement = upsert_batch(one)
                connection.execute(statement.sql, dict(statement.values))
            connection.execute("UPDATE batches SET end_s = start_s + 60, ended_by = 'plc' WHERE number = 1")
            connection.execute("UPDATE parts SET extra = '{\"batch\": 1}' WHERE acquisition_id BETWEEN 2 AND 5")
            connection.commit()
        (pages.folder / "reports").mkdir()
        (pages.folder / "reports" / "day.json").write_bytes(as_json(report))
        (pages.folder / "reports" / "day.csv").write_text("part_id\n1002\n")
        (pages.folder / "recipes").mkdir()
        (pages.folder / "recipes" / "flange.toml").write_text('number = 3\ndescription = "<b>"\n')
        (pages.folder / "recipes" / "broken.toml").write_text("number = 0\n")
        yield pages


@pytest.fixture(scope="module")
def secrets(pages: Pages) -> dict[str, str]:
    """A token of each kind."""
    return {
        name: pages.site.tokens.make(name, rights, 10, "test", via="test")
        for name, rights in (
            ("reader", ["read"]),
            ("labeller", ["label"]),
            ("both", ["read", "label"]),
            ("all", ["read", "label", "audit"]),
        )
    }


@pytest.fixture
def daemon(pages: Pages) -> Iterator[Daemon]:
    with listening_daemon(pages.site.station.control_socket) as daemon:
        daemon.status |= STATUS | {
            "ready": True,
            "state": "ready",
            "warnings": [],
            "counters": {"passed": 5, "missed": 1},
        }
        pages.site.line.forget()
        yield daemon
    pages.site.line.forget()


def ask(pages: Pages, method: str, path: str, secret: str, body: object = None, **headers: str) -> Answer:
    sent = {"Authorization": f"Bearer {secret}"} if secret else {}
    data = None
    if method == "POST":
        data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
    return Client(pages.port).ask(method, path, body=data, headers=sent | headers)


VALUES: dict[str, st.SearchStrategy[str]] = {
    "session": st.sampled_from(["s1", "s1", "none", "../x"]),
    "acquisition": st.sampled_from(["2", "3", "12", "999", "99999999999999999999"]),
    "camera": st.sampled_from(["top", "none", "<b>"]),
    "kind": st.sampled_from(["image", "heat", "csv", "pdf", "x"]),
    "part_id": st.sampled_from(["1002", "9", "99999999999999999999"]),
    "after": st.sampled_from(["0", "5", "9223372036854775807", "9223372036854775808", "-1", "x", ""]),
    "engine": st.sampled_from(["e", "eee", "f", ""]),
    "name": st.sampled_from(["day", "none", "..%2Fday"]),
    "number": st.sampled_from(["1", "9", "99999999999999999999"]),
    "batch": st.sampled_from(["now", "last", "8813", "x"]),
    "state": st.sampled_from(["open", "ended", "x"]),
    "limit": st.sampled_from(["1", "3", "1000", "1001", "0", "x"]),
    "verdict": st.sampled_from(["PASS", "FAIL", "pass", ""]),
    "by": st.sampled_from(["shift", "hour", "recipe", "reason", "engine", "x"]),
    "reason": st.sampled_from(["10", "42", "9999", "x", ""]),
    "since": st.sampled_from(["8h", "2027-01-15", "2027-01-15T08:00:00Z", "x", "9999-01-01", "2027-13-01"]),
    "before": st.sampled_from(["1800000000.0_3", "x", "nan_1", "1e400_2", "1_999999999999999999999999"]),
}
ODD = st.text(st.characters(codec="utf-8"), max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Endpoint, str]:
    """An endpoint with values for its parameters: some that make sense, some that do not."""
    each = draw(st.sampled_from([one for one in ENDPOINTS if one.method == "get"]))
    path, query = each.path, []
    for parameter in each.parameters:
        value = draw(st.one_of(VALUES.get(parameter.name, ODD), ODD))
        if parameter.where == "path":
            path = path.replace(f"{{{parameter.name}}}", quote(value, safe="") or "x")
        elif draw(st.booleans()):
            query.append((parameter.name, value))
    return each, BASE + path + (f"?{urlencode(query)}" if query else "")


def check(each: Endpoint, got: Answer) -> None:
    """Status and body are those of the description."""
    operation = openapi()["paths"][each.path][each.method]
    documented = operation["responses"].get(str(got.status))
    assert documented is not None or got.status == 404, f"{got.status} is not documented: {got.text[:300]}"
    kind = got.headers["content-type"].partition(";")[0]
    if got.status == 404 and documented is None:
        assert kind == "application/problem+json"
        return
    assert documented is not None
    content = documented["content"]
    assert kind in content, f"{kind} for {got.status}"
    if kind.endswith("json"):
        assert list(misfits(json.loads(got.text), content[kind]["schema"])) == []


@KEPT
@given(asked=st.lists(requests(), min_size=1, max_size=8))
def test_whatever_is_asked_is_replied_as_described(
    pages: Pages, secrets: dict[str, str], daemon: Daemon, asked: list[tuple[Endpoint, str]]
) -> None:
    for each, path in asked:
        check(each, ask(pages, "GET", path, secrets["all"]))


def test_every_endpoint_replies_with_what_is_there(pages: Pages, secrets: dict[str, str], daemon: Daemon) -> None:
    good = {"session": "s1", "acquisition": "2", "camera": "top", "kind": "image", "name": "day", "part_id": "1002"}
    good["number"] = "1"
    for each in ENDPOINTS:
        if each.method == "get":
            kind = {"kind": "csv"} if each.name == "report-file" else {}
            got = ask(pages, "GET", BASE + each.path.format(**(good | kind)), secrets["all"])
            assert got.status == 200, (each.name, got.body[:300])
            check(each, got)
    page = json.loads(ask(pages, "GET", f"{BASE}/parts?limit=5", secrets["reader"]).text)
    seen = [part["acquisition_id"] for part in page["parts"]]
    while page["next"]:
        page = json.loads(ask(pages, "GET", f"{BASE}/parts?limit=5&before={page['next']}", secrets["reader"]).text)
        seen += [part["acquisition_id"] for part in page["parts"]]
    assert seen == list(range(12, 0, -1)), "a page goes on where the one before ended"


def test_batches_are_followed_filtered_and_counted(pages: Pages, secrets: dict[str, str]) -> None:
    def batches(query: str) -> list[int]:
        got = ask(pages, "GET", f"{BASE}/batches?{query}", secrets["reader"])
        assert got.status == 200, got.text
        return [one["number"] for one in json.loads(got.text)["batches"]]

    assert batches("") == [2, 1], "newest first"
    assert (batches("after=0&limit=1"), batches("after=1"), batches("after=2")) == ([1], [2], [])
    assert (batches("state=open"), batches("state=ended"), batches("name=8813")) == ([2], [1], [2])
    assert batches("product=flange&order=A-7&recipe=flange") == [2, 1]
    assert batches("product=other") == []
    got = json.loads(ask(pages, "GET", f"{BASE}/batches/1", secrets["reader"]).text)
    assert (got["batch"]["name"], got["batch"]["begun_by"], got["counts"]["parts"]) == ("8812 <b>", "plc", 4)
    rows = json.loads(ask(pages, "GET", f"{BASE}/parts?{urlencode({'batch': '8812 <b>'})}", secrets["reader"]).text)
    assert [row["batch"] for row in rows["parts"]] == [1] * 4
    assert ask(pages, "GET", f"{BASE}/batches/3", secrets["reader"]).status == 404
    for wrong in ("x", ""):
        assert ask(pages, "GET", f"{BASE}/batches?state={wrong}", secrets["reader"]).status == 400


def test_metrics_of_a_time_are_those_of_its_report(pages: Pages, secrets: dict[str, str]) -> None:
    begin, end = (datetime.fromtimestamp(WALL_TIME + by, timezone.utc).isoformat() for by in (-3600, 3600))
    got = ask(pages, "GET", f"{BASE}/metrics-of?{urlencode({'since': begin, 'until': end})}", secrets["reader"])
    assert got.status == 200, got.text
    data = json.loads(got.text)
    order = Order(Period("day", WALL_TIME - 3600, WALL_TIME + 3600))
    report, parts = make(pages.site.records, order, station="x", deadline_ms=500.0, now=WALL_TIME + 7200)
    key = [one for one in report.figures if one.is_key]
    assert [one["name"] for one in data["metrics"]] == [one.name for one in key]
    assert data["parts"] == len(parts) == 12
    for metric, figure in zip(data["metrics"], key, strict=True):
        assert metric["known"] is (metric["value"] is not None)
        assert metric["known"] or metric["why"], metric
        if metric["name"] != "review load":  # these parts lie in the future, so no hour has passed
            assert metric["known"] is (figure.value != NOT_KNOWN)
    assert not data["metrics"][0]["known"], "nobody has looked at what passed"
    cycle, traced = data["metrics"][3], data["metrics"][5]
    assert (cycle["n"], cycle["unit"]) == (11, "s")
    assert percent(traced["value"]) == key[5].value
    assert (traced["n"], traced["of"]) == (12 - parts.lacking, 12)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("until=8h", "until needs since"),
        ("since=2027-12-24", "nothing in this period"),
        ("batch=8813&since=8h", "a batch has its own time"),
        ("batch=none", "none of this name"),
        ("by=shift", "is no parameter"),
    ],
)
def test_metrics_of_nothing_are_refused_in_words(pages: Pages, secrets: dict[str, str], query: str, said: str) -> None:
    got = ask(pages, "GET", f"{BASE}/metrics-of?{query}", secrets["reader"])
    assert got.status == 400
    assert said in json.loads(got.text)["detail"]


def test_metrics_are_of_as_many_parts_as_a_look_may_read(
    pages: Pages, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{BASE}/metrics-of?batch={quote('8812 <b>')}"
    assert json.loads(ask(pages, "GET", path, secrets["reader"]).text)["parts"] == 4
    monkeypatch.setattr(production, "MOST_PARTS", 3)
    got = ask(pages, "GET", path, secrets["reader"])
    assert (got.status, "more than 3 parts" in got.text) == (400, True)
    monkeypatch.setattr(production, "_WAIT_S", 0.01)
    with production._ONE_AT_A_TIME:
        assert ask(pages, "GET", path, secrets["reader"]).status == 503


def test_without_a_station_the_records_are_there_and_the_state_is_not(pages: Pages, secrets: dict[str, str]) -> None:
    pages.site.line.forget()
    assert ask(pages, "GET", f"{BASE}/status", secrets["reader"]).status == 503
    assert ask(pages, "GET", f"{BASE}/parts", secrets["reader"]).status == 200
    assert json.loads(ask(pages, "GET", f"{BASE}/health", secrets["reader"]).text)["station"] == "silent"
    got = ask(pages, "GET", "/healthz", "")
    assert (got.status, got.text) == (503, "not ok\n")


def test_healthz_needs_no_token_and_says_nothing_else(pages: Pages, daemon: Daemon) -> None:
    got = ask(pages, "GET", "/healthz", "")
    assert (got.status, got.text) == (200, "ok\n")


def test_only_a_token_with_the_right_opens_the_api(pages: Pages, secrets: dict[str, str]) -> None:
    part = f"{BASE}/parts/s1/2"
    for secret in ("", "x", secrets["reader"] + "x", secrets["reader"][:-1]):
        for path in (part, "/metrics", f"{BASE}/status"):
            got = ask(pages, "GET", path, secret)
            assert (got.status, json.loads(got.text)["status"]) == (401, 401)
    assert ask(pages, "GET", part, secrets["labeller"]).status == 403
    assert ask(pages, "POST", f"{part}/label", secrets["reader"], {"label": "good"}).status == 403
    for role in PEOPLE_ROLES:
        assert pages.client(role).get(part).status == 401, "the login of a page opens nothing here"
    assert ask(pages, "GET", part, secrets["reader"], Host="evil.example").status == 400
    assert ask(pages, "GET", f"{BASE}/nothing", secrets["reader"]).headers["content-type"] == "application/problem+json"
    assert ask(pages, "POST", part, secrets["both"], {}).status == 405


def test_a_program_labels_under_its_name(pages: Pages, secrets: dict[str, str]) -> None:
    path = f"{BASE}/parts/s1/3/label"
    got = ask(pages, "POST", path, secrets["both"], {"label": "good", "comment": "by a gauge"})
    assert (got.status, json.loads(got.text)["labels"][0]["reviewer"]) == (200, "token both")
    (kept,) = [one for one in read_labels(pages.site.labels) if one.acquisition_id == 3]
    assert (kept.label, kept.reviewer) == ("good", "token both")
    got = ask(pages, "POST", path, secrets["labeller"], {"label": "withdraw"})
    assert (got.status, json.loads(got.text)["labels"]) == (200, [])


BODIES: list[Any] = [
    None, [], "good", 5, {}, {"label": 5}, {"label": "bad"}, {"label": "good", "who": "me"},
    {"label": "defective", "class": "none such"}, {"label": "defective", "class": 5},
    {"label": "good", "comment": "x" * 1001},
    {"label": "good", "comment": None},
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_label_that_is_none_is_refused_and_nothing_is_kept(pages: Pages, secrets: dict[str, str], body: Any) -> None:
    (endpoint,) = [one for one in ENDPOINTS if one.name == "label"]
    got = ask(pages, "POST", f"{BASE}/parts/s1/5/label", secrets["both"], body)
    assert got.status == 400, got.text
    check(endpoint, got)
    assert [one for one in read_labels(pages.site.labels) if one.acquisition_id == 5] == []


def test_what_is_no_json_or_too_much_is_refused(pages: Pages, secrets: dict[str, str]) -> None:
    path, headers = f"{BASE}/parts/s1/5/label", {"Authorization": f"Bearer {secrets['both']}"}
    client = Client(pages.port)
    assert client.ask("POST", path, body=b"label=good", headers=headers).status == 415
    headers["Content-Type"] = "application/json"
    assert client.ask("POST", path, body=b"{", headers=headers).status == 400
    assert client.ask("POST", path, body=b"[" * 30_000, headers=headers).status == 400
    assert client.ask("POST", path, body=b"\xff\xfe", headers=headers).status == 400
    assert client.ask("POST", path, body=b" " * 70_000, headers=headers).status == 413
    assert ask(pages, "POST", f"{BASE}/parts/s1/999/label", secrets["both"], {"label": "good"}).status == 404


def test_an_admin_makes_a_token_that_is_shown_once_and_withdraws_it(pages: Pages) -> None:
    import re

    client = pages.client("admin")
    proof = {"proof": "several words of a test"}
    fields = {"csrf": client.csrf(), "action": "token", "name": "mes", "right-read": "1", "days": "30", **proof}
    shown = client.post("/users/change", fields).text
    (secret,) = re.findall(r"station_[A-Za-z0-9_-]{43}", shown)
    assert secret not in client.get("/users").text
    assert ask(pages, "GET", f"{BASE}/reports", secret).status == 200
    for wrong in ({"days": "0"}, {"days": "99999"}, {"days": "x"}, {"name": ""}, {"name": "mes"}):
        assert client.post("/users/change", fields | wrong).status == 400
    assert send(client, "/users/change", action="withdraw", name="mes", **proof)[0] == 303
    assert ask(pages, "GET", f"{BASE}/reports", secret).status == 401
    deeds = [deed.action for deed in pages.site.accounts.deeds(5)]
    assert deeds[:2] == ["withdraw token", "new token"]


def test_a_token_ends(tmp_path: Any) -> None:
    now = [0.0]
    tokens = Tokens(tmp_path, lambda: now[0])
    secret = tokens.make("mes", ["read"], 1, "anna", via="test")
    assert tokens.of(secret) is not None
    now[0] = 86_401.0
    assert tokens.of(secret) is None
    with pytest.raises(AccountError, match="rights: one or more of read, label, audit"):
        tokens.make("x", ["write"], 1, "anna", via="test")
