"""Teaching by hand: a strip of good parts, what is left out, what was removed and is good after all."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from station.hmi.pages.maintenance import teaching
from station.labels.schema import open_writer
from station.results import Verdict
from tests.bench.engine_store import serving_with_store
from tests.bench.pages import Client, Pages
from tests.bench.sample_parts import PartMaker
from tests.hmi.maintenance_pages import Daemon
from tests.hmi.test_engines import names, send

__all__ = ["names"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with serving_with_store(tmp_path_factory.mktemp("teaching")) as pages:
        make = PartMaker("s2")
        verdicts = [Verdict.FAIL if number % 10 == 0 else Verdict.PASS for number in range(1, 41)]
        pages.record([make.inspected(number, verdict) for number, verdict in enumerate(verdicts, 1)], "s2")
        open_writer(pages.site.labels).close()
        yield pages


@pytest.fixture
def client(pages: Pages) -> Client:
    return pages.client("maintenance")


def strip(client: Client, query: str = "") -> tuple[list[str], str]:
    """Keys of the tiles, and what the form carries of them."""
    text = client.get(f"/teach{query}").text
    shown = re.search(r'name="shown" value="([^"]*)"', text)
    return re.findall(r'name="out" value="([^"]*)"', text), html.unescape(shown.group(1)) if shown else ""


def teach(client: Client, shown: str, out: list[str], **more: str) -> Any:
    body = [("csrf", client.csrf()), ("shown", shown), *(("out", key) for key in out), *more.items()]
    from urllib.parse import urlencode

    headers = {"Origin": client.origin, "Content-Type": "application/x-www-form-urlencoded"}
    return client.ask("POST", "/teach/start", body=urlencode(body).encode(), headers=headers)


def test_the_strip_shows_parts_that_passed_newest_first_and_others_only_when_asked(client: Client) -> None:
    keys, _ = strip(client)
    assert keys[:3] == ["s2/39", "s2/38", "s2/37"]
    assert "s2/40" not in keys
    with_others, _ = strip(client, "?also=1&n=60")
    assert "s2/40" in with_others
    assert client.get("/teach/part/s2/39.jpg").body.startswith(b"\xff\xd8")
    assert client.get("/teach/part/s9/1.jpg").status == 404


def test_what_is_left_out_is_not_learned(client: Client, daemon: Daemon) -> None:
    keys, shown = strip(client)
    got = teach(client, shown, keys[:2])
    assert (got.status, got.headers["location"]) == (303, "/teach")
    (asked,) = daemon.asked
    assert asked["command"] == "refresh"
    assert sorted(asked["only"]) == sorted(keys[2:])
    assert asked["collected"] is False


def test_too_few_parts_a_refusal_and_what_is_no_list_are_sentences(client: Client, daemon: Daemon) -> None:
    keys, shown = strip(client)
    few = teach(client, shown, keys[10:])
    assert (few.status, "10 parts are left, at least 25 are needed" in few.text) == (400, True)
    assert few.text.count(" checked") == len(keys) - 10, "what was left out stays left out"
    for odd in ("", "[]", "{", '{"s": 5}', "null"):
        assert teach(client, odd, []).status == 400, odd
    daemon.refusal = "a refresh is under way"
    assert teach(client, shown, []).status == 409
    many = json.dumps({"s" * 40: list(range(10**8, 10**8 + 1000))})
    assert "too many parts for the page" in teach(client, many, []).text
    assert send(client, "/teach/refresh", parts="5")[0] == 400


def test_images_that_are_good_after_all_are_taken_back(client: Client, daemon: Daemon, names: list[str]) -> None:
    path = f"/engines/{names[1]}/again"
    assert send(client, path)[0] == 400
    assert send(client, path, good="../../etc/passwd")[0] == 400
    assert send(client, path, good="s1-000000030-part1030-top.png") == (303, "/teach")
    (asked,) = daemon.asked
    assert asked["vetoed"] == ["s1-000000030-part1030-top.png"]
    assert asked["only"] == [f"s1/{number}" for number in range(1, 31)]
    assert send(client, f"/engines/{names[2]}/again", good="s1-000000030-part1030-top.png")[0] == 400


def test_parts_are_collected_from_the_line_and_shown_as_a_strip(client: Client, daemon: Daemon, pages: Pages) -> None:
    assert "Nothing was collected yet." in client.get("/teach?from=line").text
    assert send(client, "/teach/collect", parts="60") == (303, "/teach?from=line")
    assert daemon.asked[0]["collect"] is True
    assert send(client, "/teach/collect", parts="61")[0] == 400
    folder = pages.folder / "teaching" / "good"
    folder.mkdir(parents=True)
    for number in range(1, 31):
        cv2.imwrite(str(folder / f"{number:05}-top.png"), np.full((48, 64), 90 + number, np.uint8))
    (folder / "other.png").write_bytes(b"x")
    keys, shown = strip(client, "?from=line")
    assert keys == [f"{number:05}-top.png" for number in range(1, 31)]
    assert client.get("/teach/collected/00001-top.png").body.startswith(b"\xff\xd8")
    for path in ("other.png", "00099-top.png", "..%2Fx.png"):
        assert client.get(f"/teach/collected/{path}").status == 404, path
    assert teach(client, shown, keys[:1], **{"from": "line"}).status == 303
    assert (daemon.asked[-1]["only"], daemon.asked[-1]["collected"]) == (keys[1:], True)


def test_the_refresh_is_started_and_given_up(client: Client, daemon: Daemon) -> None:
    assert send(client, "/teach/refresh", parts="500") == (303, "/teach")
    assert send(client, "/teach/stop") == (303, "/teach")
    assert [asked["action"] for asked in daemon.asked] == ["start", "stop"]
    assert daemon.asked[0]["parts"] == 500
    assert teaching.MIN_PARTS == 25
