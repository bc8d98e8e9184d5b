"""Every text of the pages has a German one, with the same places for values, and none is left over."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from engines.said import PROMISE
from engines.store.history import Action
from station.access.accounts import PEOPLE_ROLES
from station.codes import ERRORS, OFFLINE_REASONS, REASONS, WARNINGS
from station.command_results import COMMAND_RESULTS
from station.configuration.load import ConfigurationError
from station.fleet.words import WORDS as FLEET_WORDS
from station.hmi.engines import beside
from station.hmi.pages.maintenance.engines import TABS
from station.hmi.rendering import MORE, NAVIGATION, SETUP_TABS
from station.hmi.words import LOCALE, chosen, languages
from station.jobs.refresh_selection import Group
from station.line.acquisition.messages import CameraState
from station.msa.analysis import Grade
from station.noted import KINDS, LEVELS
from station.records.challenge_runs import Outcome, RunVerdict
from station.reports import nearest_good
from station.reports.candidate.in_words import FINDINGS
from station.reports.production.language import COLUMNS, HEADINGS, PHRASES, STUDY_TITLE
from station.said import CATALOGUE
from station.trends.signals import ACTIONS, Cause
from tests.bench.pages import serving
from tests.bench.places import ROOT

HMI = ROOT / "station" / "hmi"
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext.babel_extract")]
GATE = (
    "golden images and parity", "labelled gallery", "shadow: false rejects", "shadow: escapes", "master parts",
    "virtual challenge", "detection curve",
)  # fmt: skip
OF_VALUES = {
    *PEOPLE_ROLES, *(word for _, word in (*NAVIGATION, *MORE, *SETUP_TABS)), "PASS", "FAIL", "REVIEW", "ERROR", "good",
    "defective",
    "invited", "active", "locked", "now", "last", "done", "slowed down", "sign in", "invite", "new code", "roles",
    "lock", "unlock", "password", "new token", "withdraw token", "read", "label", "audit",
    "critical", "major", "minor", "cosmetic",
    "true detection rate", "false reject rate", "false accept risk", "missed", "cycle time", "latency",
    "over the deadline", "review load", "time to a decision", "waiting", "timed out", "reviewers agree", "traceability",
    "not known", "shift", "period",
    *(action.value for action in Action), *(word for _, word in TABS), *(group.value for group in Group),
    "Id", "Made", "Detector", "Taught from", "Limits", "Suspects", "Known defects", "Kinds of defect", "Counted",
    "Engine", "Good parts rejected", "of those labelled good", "Good parts in review", "Labelled defects that pass",
    "AUROC", "in order", "look at it", "wrong", "it does not answer", "deadline",
    *(state.value for state in CameraState), *(outcome.value for outcome in Outcome),
    *(run.value for run in RunVerdict), *PHRASES, *COLUMNS,
    *HEADINGS.values(), STUDY_TITLE, *KINDS.values(), *LEVELS,
    *nearest_good.REASONS, *(template.text for template in CATALOGUE.templates),
    *GATE, "green", "red", *FINDINGS.values(), *(title for _, title in beside.LINES),
    "effectiveness", "miss rate", "false alarm rate", "agrees with itself", "agree with each other",
    "right, all of them", "station", "everybody", "in between", "poor", *(grade.value for grade in Grade),
    *(cause.value for cause in Cause), *ACTIONS.values(),
    "engine", "limits", "quarantine",
    *FLEET_WORDS.values(),
    "missing", "frozen", "swapped", "unusual", "lost", "learn",
}  # fmt: skip
"""Texts that a template gets as a value: `gettext(role)`."""


CODES = {
    text
    for table in (REASONS, ERRORS, WARNINGS, OFFLINE_REASONS, COMMAND_RESULTS)
    for code in table.values()
    for text in (code.text, code.action)
    if text
}
NO_LIVE_MEMORY = {
    "no station runs; start it with: station run",
    "the station has not begun to turn",
    "no station runs since this computer was started; start it with: station run",
}
"""Of `station.live.reading`, which speaks English alone."""


def texts() -> Iterator[str]:
    options = {"**.html": {"newstyle_gettext": "true", "trimmed": "false"}}
    for _, _, message, _, _ in extract_from_dir(str(HMI), METHODS, options):
        yield from [message] if isinstance(message, str) else [text for text in message if text]


def test_every_text_has_a_german_one() -> None:
    with (LOCALE / "de" / "LC_MESSAGES" / "hmi.po").open("rb") as file:
        german = {entry.id: entry.string for entry in read_po(file, locale="de") if entry.id}
    needed = {*texts(), *OF_VALUES, *CODES, *NO_LIVE_MEMORY}
    assert sorted(needed - set(german)) == []
    assert sorted(set(map(str, german)) - needed) == [], "no page shows these any more"
    for text, other in german.items():
        assert other, text
        places = re.compile(r"%\(\w+\)s")
        assert sorted(places.findall(str(text))) == sorted(places.findall(str(other))), text


def test_a_person_chooses_then_his_browser_then_the_station() -> None:
    known = languages()
    assert chosen("de", "en", "en", known) == "de"
    assert chosen("xx", "fr;q=1, de;q=0.5", "en", known) == "de"
    assert chosen(None, "", "de", known) == "de"


THIRD = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=3; plural=(n == 1 ? 0 : n == 2 ? 1 : 2);\\n"

msgid "Parts"
msgstr "Deloj ğ"

msgid "Of 1000 good parts at most %(rejected)s are rejected and at most %(in_review)s rejected or in review."
msgstr "Po %(in_review)s, %(rejected)s elc."
"""
"""Made up. It leaves nearly everything out."""


def put(folder: Path, code: str, text: str) -> Path:
    file = folder / code / "LC_MESSAGES" / "hmi.po"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the languages lie, for this test."""
    folder = Path(shutil.copytree(LOCALE, tmp_path / "locale"))
    monkeypatch.setattr("station.hmi.words.LOCALE", folder)
    return folder


@pytest.mark.parametrize("code", ["qq", "tr", "pt_BR"])
def test_another_language_is_one_file(locale: Path, tmp_path: Path, code: str) -> None:
    put(locale, code, THIRD)
    station = tmp_path / "station"
    station.mkdir()
    with serving(station, f'language = "{code}"\n') as pages:
        client = pages.client("operator")
        text = client.get("/parts").text
        assert "Deloj ğ" in text
        assert f'lang="{code.replace("_", "-")}"' in text
        assert "To the content" in text, "what the file leaves out is English"
        assert "Teile" in client.get("/parts", **{"Accept-Language": "de"}).text
        assert "Deloj" in client.get("/parts", **{"Accept-Language": f"{code.replace('_', '-')},en;q=0.5"}).text
        words = pages.site.words[code]
        promise = PROMISE(rejected=10, in_review=100)
        assert CATALOGUE.translated(promise, words.gettext) == "Po 100, 10 elc."
        client.get(f"/appearance?language={code}&back=/parts")
        assert "Deloj" in client.get("/parts", **{"Accept-Language": "de"}).text, "a person's choice comes first"


def test_a_language_without_a_file_and_a_broken_file_are_a_sentence(locale: Path, tmp_path: Path) -> None:
    station = tmp_path / "station"
    station.mkdir()
    with (
        pytest.raises(ConfigurationError, match=r'language = "fr": there is no .*; there are en, de'),
        serving(station, 'language = "fr"\n'),
    ):
        pass
    put(locale, "fr", "").write_bytes(b'msgid "Parts"\nmsgstr "\xff\xfe"\n')
    with pytest.raises(ConfigurationError, match=r"hmi\.po.* cannot be read"), serving(station, ""):
        pass
