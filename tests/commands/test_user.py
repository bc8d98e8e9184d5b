"""`station user`, and an address that `station hmi` cannot have."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from station.commands.main import main
from station.hmi.server import ServingError, listening
from tests.bench.pages import HOST, write_configuration
from tests.commands.test_json import check_keys


def test_people_are_added_given_roles_locked_and_the_trail_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(write_configuration(tmp_path))]

    def said(*words: str, code: int = 0) -> str:
        assert main(["user", *words, *config]) == code
        printed = capsys.readouterr()
        return printed.out + printed.err

    assert re.search(r"code [A-Z2-9]{4}(-[A-Z2-9]{4}){3}", said("add", "anna", "--role", "operator,quality"))
    said("roles", "anna", "--role", "viewer")
    said("lock", "anna")
    assert said("list") == "anna: viewer; locked\n"
    assert "anna" in said("add", "anna", "--role", "viewer", code=2)
    assert "allowed are viewer, operator" in said("add", "ben", "--role", "root", code=2)
    assert "there is no person" in said("lock", "ben", code=2)
    assert "3 rows are whole" in said("verify")
    assert "cut off" in said("verify", "--anchor", "ab" * 32, code=1)
    assert re.search(r"mes sends .* Bearer station_[A-Za-z0-9_-]{43}\n", said("token", "mes", "--days", "30"))
    assert re.fullmatch(r"mes: read; until \d{4}-.*\n", said("tokens"))
    assert "rights: one or more of read, label, audit" in said("token", "erp", "--may", "write", code=2)
    assert "days: 1 to 730" in said("token", "erp", "--days", "9999", code=2)
    said("withdraw", "mes")
    assert "there is no token" in said("withdraw", "mes", code=2)
    assert said("tokens") == "no program may ask the API yet\n"


def test_json_has_the_keys_that_the_help_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(write_configuration(tmp_path)), "--json"]
    for words in (
        ("add", "anna", "--role", "operator"),
        ("roles", "Anna", "--role", "viewer"),
        ("lock", "anna"),
        ("unlock", "anna"),
        ("code", "anna"),
        ("list",),
        ("verify",),
        ("token", "mes", "--may", "read,label"),
        ("tokens",),
        ("withdraw", "mes"),
    ):
        assert main(["user", *words, *config]) == 0
        check_keys(f"user {words[0]}", json.loads(capsys.readouterr().out))


def test_an_address_that_is_taken_is_refused_in_words() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        with pytest.raises(ServingError, match="cannot be taken"):
            listening(HOST, other.getsockname()[1])


def test_who_reads_the_address_finds_a_door() -> None:
    """The address is printed, and systemd hears "ready", before the server runs: who comes at once waits."""
    with listening(HOST, 0) as door, socket.create_connection(door.getsockname(), timeout=5):
        pass
