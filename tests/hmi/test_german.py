"""No page in German says a sentence in English, be it one of its own or one that engine, gate or monitoring wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

import pytest

from station.access.accounts import PEOPLE_ROLES
from station.hmi.words import LOCALE, languages
from station.monitoring.diagnosis import MASTER, SCORES, diagnose
from station.monitoring.streams import StreamStatus
from station.said import CATALOGUE
from tests.bench.pages import Pages
from tests.engines.test_sentences import everything
from tests.hmi.maintenance_pages import listening_daemon
from tests.hmi.test_every_page import PATHS, engines, of_store, store_a_report, study_agreement
from tests.hmi.test_health import STATUS

__all__ = ["engines"]
GERMAN = languages()["de"]
PLACE = re.compile(r"%\(\w+\)s")
SHOWN = ("title", "aria-label", "placeholder", "alt")
NOT_OURS = {"script", "style", "code", "pre", "textarea", "option"}
NAMES = frozenset(PEOPLE_ROLES)
"""Of the people of these tests, who are called as their roles."""
SHORT = 4
"""Letters of words that are the same in both languages, or names."""


def english() -> dict[str, str]:
    """Texts of the pages with another German one, and no place for values."""
    from babel.messages.pofile import read_po

    with (LOCALE / "de" / "LC_MESSAGES" / "hmi.po").open("rb") as file:
        entries = [one for one in read_po(file, locale="de") if isinstance(one.id, str) and one.id]
    german = {str(one.string) for one in entries}
    texts = {str(one.id): str(one.string) for one in entries}
    return {
        text: other
        for text, other in texts.items()
        if text != other and text not in german and len(text) > SHORT and not PLACE.search(text)
    }


ENGLISH = english()


class Texts(HTMLParser):
    """What a person reads of a page: texts, and attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in NOT_OURS:
            self._within.append(tag)
        self.found += [value for name, value in attrs if name in SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.found.append(data)


def left_english(page: str) -> list[str]:
    """Texts of a German page that have a German one."""
    texts = Texts()
    texts.feed(page)
    lines = {" ".join(text.split()) for text in texts.found}
    return sorted(line for line in lines if line and line not in NAMES and is_english(line))


def is_english(line: str) -> bool:
    bare = line.strip(" .:;,✓✕▲–→←·()")
    if line in ENGLISH or bare in ENGLISH:
        return True
    return len(bare) > SHORT and CATALOGUE.translated(bare, GERMAN.gettext) != bare


def standing() -> list[str]:
    """What a station says whose parts look different, and which rejects at one place again and again."""
    moved = [
        StreamStatus("grey: top", 1.0, True, "normal 117 to 122, now 100"),
        StreamStatus(SCORES, 1.0, True, "12% above 0.500 and 3% below 0.100, each normal up to 2%"),
        StreamStatus(f"{MASTER}: hole", 1.0, True, "score normal 0.100 to 0.200, average of the newest 0.300"),
    ]
    finding = diagnose(moved)
    assert finding is not None
    return [str(finding)]


@pytest.mark.parametrize("what", everything())
def test_no_sentence_of_an_engine_stays_english_beside_those_of_a_station(what: str) -> None:
    """Looser sentences of a station, and places for any text, take no sentence of an engine for a part of theirs."""
    text = everything()[what]
    german = CATALOGUE.translated(text, GERMAN.gettext)
    sentences = [one for one in re.split(r"(?<=\.) ", text) if len(one.split()) > SHORT]
    assert [one for one in sentences if one in german] == []


@pytest.fixture
def talking(engines: Pages) -> Iterator[Pages]:
    """A station with a store of engines, of which something has changed and something wears out."""
    trends = {
        "state": "known", "at": 1.0, "days": 30, "problem": "",
        "advice": [{"cause": "the lamp ages", "place": "top", "days": 9.0, "earliest": 5.0, "latest": 20.0,
                    "action": "clean the lamp's window; order and exchange the lamp",
                    "what": "sharpness -18 % in 12 days, recipes A, B alike"}],
    }  # fmt: skip
    streams = [{"name": "grey: top", "learned": 1.0, "changed": True, "detail": "normal 117 to 122, now 100"}]
    with listening_daemon(engines.site.station.control_socket) as daemon:
        daemon.status |= STATUS | {
            "monitoring": {"state": "changed", "learned": 1.0, "standing": standing(), "streams": streams},
            "trends": trends,
            "warning_codes": [3, 12],
        }
        engines.site.line.forget()
        yield engines
    engines.site.line.forget()


def walk(pages: Pages, role: str, paths: Sequence[str]) -> dict[str, list[str]]:
    client = pages.client(role)
    found = {}
    for path in paths:
        got = client.get(path, **{"Accept-Language": "de"})
        if 'lang="de"' in got.text and (left := left_english(got.text)):
            found[path] = left
    return found


@pytest.mark.parametrize("role", PATHS)
def test_every_page_is_german(pages: Pages, role: str) -> None:
    store_a_report(pages)
    study_agreement(pages)
    found = walk(pages, role, PATHS[role])
    assert not found, "\n".join(f"{path}: {lines}" for path, lines in found.items())


def test_maintenance_says_in_german_what_engines_gate_monitoring_and_trends_wrote(talking: Pages) -> None:
    found = walk(talking, "maintenance", of_store(talking))
    assert not found, "\n".join(f"{path}: {lines}" for path, lines in found.items())
    health = talking.client("maintenance").get("/health", **{"Accept-Language": "de"}).text
    assert "Grauwert: top: normal 117 bis 122, jetzt 100" in health
    assert "Rezepte A, B gleichermaßen" in health


def test_what_is_english_is_found() -> None:
    """The walk looks for these; a page that is all German would pass with a walk that finds nothing."""
    page = "<p>Parts</p><p title='Sign in'>x</p><p>learns: 3 of 20 tests</p><p>Teile</p><code>Parts</code>"
    assert left_english(page) == ["Parts", "learns: 3 of 20 tests"] or "Sign in" in left_english(page)
    assert left_english("<p>lernt: 3 von 20 Tests</p><p>Teile</p>") == []
