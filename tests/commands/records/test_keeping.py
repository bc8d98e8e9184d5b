"""`station quarantine`, `station evidence`: what is kept is listed with its reason, a file holds all that is known."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from pathlib import Path

from tests.bench.sample_parts import PartMaker
from tests.commands.records.conftest import Station, record
from tests.commands.test_json import check_keys


def test_a_part_is_kept_listed_and_released(station: Station) -> None:
    assert station.data("quarantine", "list") == []
    assert "reason for the quarantine" in station.refused("quarantine", "keep", 1002, "--why", " ")
    words = ("quarantine", "keep", 1002, "--why", "[b]claim 7[/]", "--who", "anna")
    assert station.said(*words) == "part 1002 is in the quarantine: its row and images stay\n"
    assert "is in the quarantine already: anna: [b]claim 7[/]" in station.refused(*words)
    (kept,) = station.data("quarantine", "list")
    assert (kept["part_id"], kept["why"], kept["reviewer"], kept["role"]) == (1002, "[b]claim 7[/]", "anna", "shell")
    assert "[b]claim 7[/]" in station.said("quarantine", "list")
    assert "has left" in station.said("quarantine", "release", 1002, "--why", "settled")
    assert "is not in the quarantine" in station.refused("quarantine", "release", 1002, "--why", "settled")
    assert station.data("quarantine", "list") == []


def test_of_several_parts_none_is_kept(station: Station) -> None:
    record(station.records, [PartMaker("s2").without_frame(2)], "s2")
    station.capsys.readouterr()
    assert "nothing was changed" in station.refused("quarantine", "keep", 1002, "--why", "claim")
    assert "name the part by its number" in station.refused("quarantine", "keep", "last", "--why", "claim")
    assert "--session s1" in station.refused("evidence", 1002)
    assert station.data("quarantine", "list") == []
    words = ("quarantine", "keep", 1002, "--why", "claim", "--session", "s1", "--json")
    check_keys("quarantine keep", json.loads(station.said(*words)))
    check_keys("quarantine list", station.data("quarantine", "list"))
    output = station.config.parent / "proof.zip"
    check_keys("evidence", json.loads(station.said("evidence", 1002, "--session", "s1", "--output", output, "--json")))


def test_the_evidence_holds_what_is_known_and_its_sums_are_right(station: Station, tmp_path: Path) -> None:
    station.said("label", 1002, "defective", "--class", "scratch", "--new-class", "minor", "--why", "rim")
    station.said("quarantine", "keep", 1002, "--why", "claim 7")
    output = tmp_path / "proof.zip"
    said = station.said("evidence", 1002, "--output", output, "--who", "anna")
    assert said.startswith(f"{output}: part 1002")
    with zipfile.ZipFile(output) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    lines = [line.split("  ") for line in files.pop("SHA256SUMS").decode().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    part, labels, about = (json.loads(files[f"{name}.json"]) for name in ("part", "labels", "about"))
    assert (part["part_id"], part["verdict"]) == (1002, "FAIL")
    assert labels["holds"][0]["defect_class"] == "scratch"
    assert labels["quarantine"][0]["why"] == "claim 7"
    assert about["made_by"] == "anna"
    stored = station.records / part["views"][0]["image_path"]
    assert files[f"images/{part['views'][0]['camera']}.png"] == stored.read_bytes()
    assert files["overview.png"].startswith(b"\x89PNG")
    assert json.loads(files["trace.json"])["steps"][0]["name"].startswith("trigger")
    assert any(one.startswith("engine.json") for one in about["missing"])
    assert "File exists" in station.refused("evidence", 1002, "--output", output)


def test_an_image_path_that_leads_out_of_the_records_is_not_followed(station: Station, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    with sqlite3.connect(station.records / "records.db") as connection:
        connection.execute("UPDATE views SET image_path = ?", [f"../{secret.name}"])
        connection.execute("UPDATE views SET map_path = ?", [str(secret)])
    output = tmp_path / "proof.zip"
    station.said("evidence", 1002, "--output", output)
    with zipfile.ZipFile(output) as archive:
        assert not [name for name in archive.namelist() if name.startswith("images/")]
