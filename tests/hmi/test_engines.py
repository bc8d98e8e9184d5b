"""Engines on the pages: what is in the store, what nobody has decided, comparing, and changes that the daemon makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from station.access.people import ON_BEHALF
from station.hmi.engines.versions import store_at
from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, upsert_run
from station.records.schema import open_writer
from tests.bench.engine_store import COMPARISON, serving_with_store
from tests.bench.pages import Client, Pages
from tests.bench.slow_work import slow_work
from tests.bench.waiting import wait_for
from tests.hmi.maintenance_pages import PROOF, Daemon


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving_with_store(tmp_path_factory.mktemp("engines")) as pages:
        yield pages


@pytest.fixture
def client(pages: Pages) -> Client:
    return pages.client("maintenance")


@pytest.fixture(scope="module")
def names(pages: Pages) -> list[str]:
    assert pages.site.station.engine_store is not None
    return [row.name for row in reversed(store_at(pages.site.station.engine_store).rows)]


def said(text: str) -> str:
    found = re.search(r'role="alert">([^<]*)<', text)
    return found.group(1) if found else ""


def send(client: Client, path: str, **fields: str) -> tuple[int, str]:
    got = client.post(path, {"csrf": client.csrf(), **fields})
    return got.status, said(got.text) or got.headers.get("location", "")


def test_the_active_version_stands_first_with_its_promise_and_history(client: Client, names: list[str]) -> None:
    text = client.get("/engines").text
    assert text.index("ACTIVE") < text.index("Versions")
    assert "clear: finds bright spots from 12 px" in text
    assert "first engine" in text
    assert [name in text for name in names] == [True] * 3
    assert "Go back to" not in text, "there was none before"


def test_a_version_shows_what_it_promises_finds_removed_and_changes(client: Client, names: list[str]) -> None:
    text = client.get(f"/engines/{names[1]}").text
    for words in ("Removed, worst first: 3", "Good parts rejected", "9 / 120 (7.5 %)", "30 images are few", "is good"):
        assert words in text, words
    assert text.count("&lt;b&gt;text of others&lt;/b&gt;") == 1
    assert "<b>text" not in text
    assert 'href="/parts/s1/2"' in text
    asked = client.get(f"/engines/{names[2]}").text
    assert "Somebody has to decide before it may be used" in asked
    assert "8 images that look alike were not learned" in asked
    assert "<svg" in asked
    assert client.get(f"/engines/{names[1]}/plain/28.jpg").body.startswith(b"\xff\xd8")
    for path in ("plain/1.jpg", "other/28.jpg", "plain/99999999.jpg", "..%2f..%2fplain/28.jpg"):
        assert client.get(f"/engines/{names[1]}/{path}").status == 404, path
    assert client.get("/engines/0009-nothing").status == 404


def test_suspects_stand_first_with_a_mark_and_what_is_asked_about_them(client: Client, names: list[str]) -> None:
    def removed(name: str, **headers: str) -> list[str]:
        text = client.get(f"/engines/{name}", **headers).text
        return re.findall(
            r'<li class="tile">.*?</li>', re.split("worst first|suspects first|verdächtige zuerst", text)[1], re.DOTALL
        )

    marked = removed(names[2])
    assert [">suspect<" in tile for tile in marked] == [True, False, False]
    assert "part1028" in marked[0], "the others are worse"
    assert not any(">suspect<" in tile for tile in removed(names[1])), "where they change no score nothing is asked"
    assert ">verdächtig<" in removed(names[2], **{"Accept-Language": "de"})[0]
    assert "1 images that were left out stand for defects" in client.get(f"/engines/{names[2]}").text
    german = client.get(f"/engines/{names[2]}", **{"Accept-Language": "de"}).text
    assert "Bitte ansehen: was Sie fehlerhaft nennen" in german
    assert "Jedes samt seinen Zwillingen ausgelassen, bestehen 0 von 1 (1 ohne die anderen)." in german


def test_a_german_page_says_in_german_what_the_engine_wrote(client: Client, names: list[str]) -> None:
    german = {"Accept-Language": "de"}
    overview = client.get("/engines", **german).text
    assert "deutlich: findet helle Punkte ab 12 px" in overview
    asked = client.get(f"/engines/{names[2]}", **german).text
    assert "8 Bilder, die einander gleichen, wurden nicht gelernt" in asked
    assert "1 helle Punkte: ab 12 px" in asked, "the chart"
    for english in ("images that look alike", "does not find", "found, by size", "good parts rejected"):
        assert english not in asked, english
    candidate = client.get(f"/engines/{names[1]}", **german).text
    assert "30 images are few" in candidate, "what no sentence of ours is stays as it is"
    assert "benannte Fehler: was besteht, ist kaum bekannt" in candidate or "bezeichnete Fehler" in candidate
    assert "None: the limits are fixed." in candidate


def test_a_damaged_version_is_named_and_the_others_are_shown(client: Client, pages: Pages, names: list[str]) -> None:
    assert pages.site.station.engine_store is not None
    manifest = pages.site.station.engine_store / names[1] / "manifest.json"
    before = manifest.read_bytes()
    try:
        manifest.write_text("{")
        assert "DAMAGED" in client.get("/engines").text
        assert client.get(f"/engines/{names[1]}").status == 200
        manifest.write_bytes((manifest.parent.parent / names[0] / "manifest.json").read_bytes())
        assert "its files are those of another engine" in client.get(f"/engines/{names[1]}").text
    finally:
        manifest.write_bytes(before)


def test_the_daemon_activates_for_the_person_who_gives_reason_and_password(
    client: Client, daemon: Daemon, names: list[str]
) -> None:
    path = f"/engines/{names[2]}/activate"
    assert send(client, path, why="new light")[0] == 403, "without the password"
    assert send(client, path, proof=PROOF) == (400, "Say why: it stands in the history.")
    assert daemon.asked == []
    assert send(client, path, why="new light", variants="remove", proof=PROOF) == (303, "/engines")
    (asked,) = daemon.asked
    assert (asked["action"], asked["version"], asked["why"], asked["variants"]) == (
        "activate",
        names[2],
        "new light",
        "remove",
    )
    assert asked[ON_BEHALF] == {"name": "maintenance", "roles": ["maintenance"]}
    daemon.refusal = "refused, everything stays as it was: version 3: <i>8 images</i>"
    status, problem = send(client, path, why="again", proof=PROOF)
    assert (status, "&lt;i&gt;8 images" in problem) == (409, True)
    assert send(client, "/engines/rollback", why="", proof=PROOF)[0] == 400
    daemon.refusal = ""
    assert send(client, "/engines/rollback", why="too many rejects", proof=PROOF) == (303, "/engines")
    assert daemon.asked[-1]["action"] == "rollback"


def test_without_a_daemon_nothing_is_shown_as_done(client: Client, names: list[str]) -> None:
    status, problem = send(client, f"/engines/{names[1]}/activate", why="x", proof=PROOF)
    assert (status, "no station listens" in problem) == (409, True)


def test_only_maintenance_changes_what_decides(pages: Pages, daemon: Daemon, names: list[str]) -> None:
    for role in ("quality", "integrator"):
        text = pages.client(role).get(f"/engines/{names[1]}").text
        assert "Activate it" not in text
        assert "Teach again" not in text
    assert send(pages.client("integrator"), f"/engines/{names[1]}/activate", why="x", proof=PROOF)[0] == 403
    assert daemon.asked == []


def test_what_is_under_way_is_seen_by_everybody(client: Client, daemon: Daemon, pages: Pages, names: list[str]) -> None:
    refresh = {
        "phase": "running",
        "by": "ben",
        "parts": 500,
        "step": "features",
        "done": 41,
        "total": 100,
        "detail": "",
    }
    daemon.status["refresh"] = refresh
    wait_for(lambda: "features 41 / 100" in client.get("/engines").text, "the state")
    assert json.loads(client.get("/engines/state.json").text)["done"] == 41
    assert "Asked for by ben" in client.get("/teach").text
    daemon.status["refresh"] = {**refresh, "phase": "done", "detail": names[1]}
    wait_for(lambda: f"Look at candidate {names[1]}" in client.get("/engines").text, "the candidate")
    daemon.status["refresh"] = {**refresh, "phase": "failed", "detail": "too few <b>images"}
    wait_for(lambda: "too few &lt;b&gt;images" in client.get("/engines").text, "the failure")


@pytest.mark.system
def test_two_versions_are_compared_and_one_is_verified_as_works(
    client: Client, pages: Pages, names: list[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = slow_work(pages.folder, monkeypatch)
    first, second = names[:2]
    for wrong in ({"first": first, "second": first}, {"first": first, "second": "../x"}, {"first": first}):
        assert send(client, "/compare/start", parts="200", **wrong) == (400, "Choose two different versions.")
    assert send(client, "/compare/start", first=first, second=second, parts="7")[0] == 400
    assert send(client, "/compare/start", first=first, second=second, parts="200")[0] == 303
    assert send(client, f"/engines/{first}/verify")[0] == 409, "one work at a time"
    gate.open()
    wait_for(lambda: pages.site.works.last is not None and not pages.site.works.last.is_running, "the end")
    file = pages.site.own_dir / "compared" / f"{first}-{second}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(COMPARISON))
    text = client.get(f"/compare?first={first}&second={second}").text
    assert text.count('<li class="tile') == 4
    assert 'class="tile escapes"' in text
    file.write_text("{")
    assert client.get(f"/compare?first={first}&second={second}").status == 200
    assert send(client, f"/engines/{first}/verify") == (303, f"/engines/{first}")
    wait_for(lambda: pages.site.works.last is not None and not pages.site.works.last.is_running, "the end")
    assert "Hashes and golden images agree." in client.get(f"/engines/{first}").text


def test_a_candidate_shows_every_part_whose_verdict_changes(client: Client, names: list[str]) -> None:
    """With the picture that lies beside it, else that of the part on record."""
    text = client.get(f"/engines/{names[1]}").text
    changed = text[text.index("Verdicts that change: 4") :].split("</section>")[0]
    assert changed.count('<li class="tile') == 4
    where = f"/engines/{names[1]}/changed/1.jpg"
    assert where in changed
    assert changed.count("/teach/part/") == 3
    got = client.get(where)
    assert (got.status, got.headers["content-type"]) == (200, "image/jpeg")
    for missing in (0, 2, 4000):
        assert client.get(f"/engines/{names[1]}/changed/{missing}.jpg").status == 404


def test_a_plain_folder_has_no_versions(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.bench.pages import serving

    with serving(tmp_path_factory.mktemp("plain")) as pages:
        client = pages.client("maintenance")
        assert "is a plain folder" in client.get("/engines").text
        assert client.get("/engines/0001-x").status == 404
        assert "A candidate needs an engine store" in client.get("/teach").text
        assert client.get("/compare").status == 200


def test_a_candidate_shows_its_gate_and_what_it_said_in_the_shadow(
    client: Client, pages: Pages, daemon: Daemon, names: list[str]
) -> None:
    store = store_at(pages.site.station.engine_store or pages.folder)
    ids = {row.name: row.manifest.engine_id for row in store.rows if row.manifest is not None}
    run = ShadowRun(
        5, "shadow", names[1], ids[names[1]], ids[names[0]], "r", "c", "<b>anna</b>", offered=40, dropped=10
    )
    with closing(open_writer(pages.site.records / "records.db")) as records:
        rows = [ShadowRow(5, "s1", n, 1000 + n, 1.0, 0, "PASS", 0.2, "FAIL", 0.7, "", 1.0) for n in (4, 8)]
        for statement in (upsert_run(run), *map(insert_shadow, rows)):
            records.execute(statement.sql, statement.values)
    path = f"/engines/{names[1]}"
    text = client.get(path).text
    for words in (
        "golden images and parity",
        "It has seen 75.0 % of the parts",
        "Parts that they judge differently: 2",
    ):
        assert words in text, words
    assert "not enough was seen" in text
    assert 'href="/parts/s1/8"' in text
    assert "In the shadow" not in client.get(f"/engines/{names[0]}").text, "the active one has no gate"
    assert send(client, f"{path}/shadow") == (303, path)
    assert daemon.asked[-1]["version"] == names[1]
    daemon.status["shadow"] = {"state": "runs", "version": names[1], "purpose": "shadow", "probation": None}
    wait_for(lambda: "Take it out of the shadow" in client.get(path).text, "the page to hear of it")
    assert f"{names[1]} is in the shadow of the active engine" in client.get("/engines").text
    assert send(client, f"{path}/shadow/off") == (303, path)
    assert "version" not in daemon.asked[-1]
    daemon.refusal = "two engines do not fit into memory"
    assert send(client, f"{path}/shadow") == (409, "two engines do not fit into memory")
    assert client.get(path).status == 200
    assert pages.client("quality").post(f"{path}/shadow", {}).status in (400, 403)


def test_a_probation_stands_on_the_page_of_the_engines(client: Client, daemon: Daemon, names: list[str]) -> None:
    probation = {"before": names[1], "parts": 1204, "of": 5000, "rejected": 31, "rejected_before": 2,
                 "agreed_share": 0.02, "finding": "failed: it rejects more than the one before"}  # fmt: skip
    daemon.status["shadow"] = {"state": "off", "version": "", "problem": "", "probation": probation}
    wait_for(lambda: "On probation: 1,204 of 5,000 parts" in client.get("/engines").text, "the page to hear of it")
    assert "Rejected: 31, by the one before 2; agreed are 2.0 %." in client.get("/engines").text
    assert "1204 of 5000 parts; rejected 31, by the engine before 2" in client.get("/health").text
