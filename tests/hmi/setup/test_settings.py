"""Settings from the pages: the difference, saving, who was faster, restoring; with a real station behind them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect
from starlette.datastructures import QueryParams

from station.configuration.editing.sets import as_sets
from station.configuration.load import LoadedConfiguration, load
from station.hmi.setup.changes import WrongChange, changes_in
from tests.bench.bench import bad, good
from tests.bench.browser import serious_findings, visitor
from tests.bench.pages import PASSWORD, Pages
from tests.bench.waiting import wait_for
from tests.hmi.setup.conftest import Stand


@pytest.fixture
def active(tmp_path: Path) -> LoadedConfiguration:
    path = tmp_path / "station.toml"
    path.write_text(
        '[cameras.top]\nproducer = "simtl"\n[decision]\nreject_score = 0.5\n[[decision.zones]]\nname = "hole"\n'
        "polygon = [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]\n"
    )
    return load(path)


def asked(active: LoadedConfiguration, **fields: str) -> dict[str, object]:
    query = QueryParams([(name.replace("__", "."), value) for name, value in fields.items()])
    return {".".join(path): value for path, value in changes_in(query, active).items()}


def test_what_does_not_differ_is_no_change(active: LoadedConfiguration) -> None:
    assert asked(active, decision__reject_score="0.5", decision__review_score="", camera="top") == {}
    assert asked(active, decision__reject_score="0,6") == {"decision.reject_score": 0.6}
    assert asked(active, decision__reject_score="") == {"decision.reject_score": None}
    assert asked(active, decision__limits__fail_count="3") == {"decision.limits.fail_count": 3}
    hole = {"zone0__name": "hole", "zone0__polygon": "0.1,0.1  0.2,0.1\n0.2,0.2"}
    assert asked(active, zones_of="decision", **hole) == {}
    assert asked(active, zones_of="decision.views.top", **hole) == {}
    assert asked(active, zones_of="decision", **hole, zone0__delete="1") == {"decision.zones": []}


def test_an_address_means_what_it_was_made_from(active: LoadedConfiguration) -> None:
    changes: dict[tuple[str, ...], object] = {
        ("decision", "reject_score"): None,
        ("quality", "action"): "fail",
        ("decision", "zones"): [{"name": "ä;&=#", "polygon": [[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]], "ignore": True}],
    }
    assert changes_in(QueryParams(urlencode(as_sets(changes))), active) == changes


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"decision__reject_score": "high"}, "a number, as 0.55"),
        ({"decision__reject_score": "nan"}, "a number"),
        ({"decision__limits__fail_count": "2.5"}, "a whole number"),
        ({"set": "decision.reject_score"}, "write it as decision.reject_score=0.55"),
        ({"set": "decision..x=1"}, "write it as"),
        ({"set": "decision.reject_score=NaN"}, "is no value"),
        ({"set": "decision.zones=" + "[" * 5000}, "is no value"),
        ({"zones_of": "decision", "zone0__name": "a", "zone0__polygon": "1"}, "zone a corner"),
        ({"zones_of": "decision", "zone0__name": "a", "zone0__polygon": "0.1,0.2 x,1"}, "zone a corner"),
    ],
)
def test_what_cannot_be_understood_is_a_sentence(active: LoadedConfiguration, fields: dict[str, str], why: str) -> None:
    with pytest.raises(WrongChange, match=why):
        asked(active, **fields)


def test_zones_can_be_written_without_a_script(active: LoadedConfiguration) -> None:
    found = asked(
        active,
        zones_of="decision",
        zone0__name="hole",
        zone0__delete="1",
        zone1__name="rim",
        zone1__polygon="0,0 1,0 1,.1",
        zone1__ignore="1",
        zone1__fail_length_mm="1,5",
        zone2__name="",
    )
    rim = {"name": "rim", "polygon": [[0.0, 0.0], [1.0, 0.0], [1.0, 0.1]], "ignore": True, "fail_length_mm": 1.5}
    assert found == {"decision.zones": [rim]}


def test_a_wrong_value_is_refused_as_station_check_does_and_the_way_back_keeps_it(pages: Pages) -> None:
    client = pages.client("integrator")
    got = client.get("/setup/difference?decision.reject_score=0.2&decision.review_score=0.4&from=limits")
    assert (got.status, "review_score 0.4 is above reject_score 0.2" in got.text) == (400, True)
    (back,) = re.findall(r'href="(/setup/limits\?[^"]*)"', got.text)
    form = client.get(back.replace("&amp;", "&")).text
    assert re.search(r'name="decision.review_score" value="0.4"', form)
    bow = {"zones_of": "decision", "zone0.name": "b", "zone0.polygon": "0,0 1,1 1,0 0,1"}
    got = client.get("/setup/difference?" + urlencode(bow))
    assert (got.status, "crosses itself" in got.text) == (400, True)
    got = client.get("/setup/difference?set=decision.reject_skore=0.4")
    assert (got.status, "did you mean &#34;reject_score&#34;" in got.text) == (400, True)
    got = client.get("/setup/difference?set=plc.port=1")
    assert (got.status, "set-up cannot change plc.port" in got.text) == (400, True)
    got = client.get("/setup/difference?restore=abc")
    assert (got.status, "no settings on record" in got.text) == (400, True)
    assert client.get("/setup/difference?" + urlencode({"set": "decision.x=" + "1" * 40_000})).status == 400
    assert client.get("/setup/settings/abc").status == 404


def test_nobody_saves_while_no_station_runs_and_the_reason_is_kept(pages: Pages) -> None:
    client = pages.client("integrator")
    page = client.get("/setup/difference?decision.reject_score=0.7").text
    assert "The station does not run" in page
    got = client.post("/setup/save", fields_of(page) | {"why": "new lamp", "proof": PASSWORD})
    assert (got.status, 'value="new lamp"' in got.text, "no station listens" in got.text) == (409, True, True)
    got = client.post("/setup/save", fields_of(page) | {"why": "new lamp", "proof": "wrong"})
    assert (got.status, "the password is wrong" in got.text) == (403, True)
    assert client.post("/setup/save", {"csrf": fields_of(page)["csrf"], "set": "x", "proof": PASSWORD}).status == 400


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of the form that saves."""
    form = page[page.index('action="/setup/save"') :]
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    return {name: value.replace("&#34;", '"').replace("&amp;", "&") for name, value in found}


@pytest.mark.system
@pytest.mark.timeout(300)
def test_a_limit_is_saved_used_and_restored(stand: Stand, browser: Browser, axe: str) -> None:
    bench = stand.bench
    with bench.config_path.open("a") as file:
        file.write("# the last line of the file\n")
    bench.terminate()
    bench.start()
    before = bench.config_path.read_text()
    assert not bench.part(bad()).passed
    assert bench.part(good()).passed
    with visitor(browser, cookie=stand.pages.cookie("integrator")) as context:
        page = context.new_page()
        page.goto(f"{stand.pages.address}/setup/limits")
        slider = page.locator('input[data-of="decision.reject_score"]')
        slider.focus()
        page.keyboard.press("End")
        expect(page.locator('input[name="decision.reject_score"]')).to_have_value("1")
        page.locator('input[name="decision.review_score"]').fill("0,99")
        assert serious_findings(page, axe) == []
        page.get_by_text("See the difference").click()
        expect(page.locator(".difference tbody tr")).to_have_count(2)
        expect(page.locator(".difference")).to_contain_text("Reject limit")
        expect(page.locator("body")).to_contain_text("All comments of the file stay.")
        assert serious_findings(page, axe) == []
        page.locator("[name=why]").fill("a trial")
        page.locator("[name=proof]").fill(PASSWORD)
        page.get_by_role("button", name="Save and take up").click()
        expect(page.locator(".notice.good")).to_contain_text("the station uses it")
        assert "# the last line of the file" in bench.config_path.read_text()
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(bad()).passed
        row = page.locator(".versions tbody tr").first
        expect(row).to_contain_text("a trial: [decision] reject_score: null -> 1.0")
        expect(row).to_contain_text("integrator")
        assert serious_findings(page, axe) == []
        page.locator(".versions tbody tr").nth(1).get_by_text("Restore").click()
        expect(page.locator(".difference tbody tr")).to_have_count(2)
        page.locator("[name=why]").fill("back")
        page.locator("[name=proof]").fill(PASSWORD)
        page.get_by_role("button", name="Save and take up").click()
        expect(page.locator(".notice.good")).to_contain_text("the station uses it")
    assert bench.config_path.read_text() == before
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert not bench.part(bad()).passed


@pytest.mark.system
@pytest.mark.timeout(300)
def test_who_comes_second_sees_both_and_a_role_that_may_not_is_refused_by_the_station_too(stand: Stand) -> None:
    first, second = stand.pages.client("integrator"), stand.pages.client("integrator")
    address = "/setup/difference?decision.limits.fail_count="
    mine, yours = first.get(f"{address}40").text, second.get(f"{address}50").text
    proof = {"why": "mine", "proof": PASSWORD}
    saved = first.post("/setup/save", fields_of(mine) | proof)
    assert (saved.status, saved.headers["location"].startswith("/setup/settings?done=")) == (303, True)
    assert "Saved as number" in first.get(saved.headers["location"]).text
    got = second.post("/setup/save", fields_of(yours) | proof)
    assert got.status == 409
    assert "operator integrator has changed the settings meanwhile: mine: [decision.limits] fail_count" in got.text
    assert re.search(r'old-value">40</td><td class="new-value"><b>50<', got.text)
    saved = second.post("/setup/save", fields_of(got.text) | proof)
    assert saved.status == 303
    assert "fail_count = 50" in stand.bench.config_path.read_text()
    assert stand.pages.client("maintenance").post("/setup/save", fields_of(got.text) | proof).status == 403
