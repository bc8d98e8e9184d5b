"""What was changed, by value, and the files that checksums stand for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from station.configuration.load import changed_values, load
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.audit import AuditEntry
from station.records.configurations import KeptFile
from tests.commands.records.conftest import MIDNIGHT, Station

OLD = '[station]\nname = "a"\n[decision]\nreject_score = 0.5\n'
NEW = OLD.replace("0.5", "0.6")


def kept(content: str, kind: str = "configuration", hours: float = 0.0) -> KeptFile:
    checksum = hashlib.sha256(content.encode()).hexdigest()
    return KeptFile(checksum, kind, "ST-04", MIDNIGHT + 3600 * hours, content)  # type: ignore[arg-type]


@pytest.fixture
def changed(station: Station) -> Station:
    """The same file kept twice, a newer one and a recipe, and one entry of the audit log."""
    recorder = Recorder(RecorderSettings(station.records), "later")
    recorder.start()
    for file in (kept(OLD), kept(NEW, hours=1), kept(OLD, hours=2), kept("number = 1\n", "recipe", hours=3)):
        recorder.keep(file)
    recorder.audit(AuditEntry("operator [/x]\x1b[31m", "configuration", "aaaa", "bbbb", "done", "[decision] x: 1 -> 2"))
    assert recorder.stop(10.0)
    station.capsys.readouterr()  # the log of the recorder
    return station


def test_each_file_is_kept_once_with_its_first_use(changed: Station) -> None:
    files = changed.data("config", "list")
    assert [(file["kind"], file["content"]) for file in files] == [
        ("configuration", OLD),
        ("configuration", NEW),
        ("recipe", "number = 1\n"),
    ]
    assert files[0]["wall_time"] == MIDNIGHT
    assert "2026-10-25 02:00:00" in changed.said("config", "list")


def test_a_file_is_shown_and_compared_by_the_begin_of_its_checksum(changed: Station) -> None:
    old, new = kept(OLD).checksum, kept(NEW).checksum
    assert changed.said("config", "show", new[:8]) == NEW
    lines = changed.said("config", "diff", old[:8], new).splitlines()
    assert lines[:2] == [f"--- ST-04 {old[:8]}", f"+++ ST-04 {new[:8]}"]
    assert [line for line in lines[3:] if line[0] in "+-"] == ["-reject_score = 0.5", "+reject_score = 0.6"]
    assert changed.said("config", "diff", old, old) == ""
    assert "+" in changed.said("config", "diff", old)  # with the file as it is now


def test_a_checksum_that_is_not_there_or_not_one(changed: Station) -> None:
    assert 'no file on record has a checksum that begins with "zz"' in changed.refused("config", "show", "zz")
    assert "is the begin of 3 checksums" in changed.refused("config", "show", "")
    recipe = kept("number = 1\n", "recipe").checksum
    assert "name two of a kind" in changed.refused("config", "diff", kept(OLD).checksum, recipe)


def test_what_others_wrote_is_text_in_the_audit_log(changed: Station) -> None:
    said = changed.said("audit")
    assert "\x1b[31m" not in said
    assert "[/x]" in said.replace("\n", "")
    assert changed.data("audit")[-1]["detail"] == "[decision] x: 1 -> 2"


def test_every_changed_value_is_named(station: Station) -> None:
    old = load(station.config).settings
    decision = old.decision.model_copy(update={"reject_score": 0.7, "zones": []})
    new = replace(load(station.config), settings=old.model_copy(update={"decision": decision})).settings
    before = "null" if old.decision.reject_score is None else str(old.decision.reject_score)
    assert changed_values(old, new) == [f"[decision] reject_score: {before} -> 0.7"]
    assert changed_values(old, old) == []


def test_records_without_the_table_have_no_files(station: Station) -> None:
    assert "no file on record" in station.refused("config", "show", "aa")


def test_records_that_are_not_there(tmp_path: Path, station: Station) -> None:
    assert "cannot be read" in station.refused("config", "list", "--records", tmp_path / "nowhere")
