"""Accounts by themselves, with a clock of the test: codes and logins end, tries are slowed down, the chain is whole."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from station.access import passwords
from station.access.accounts import CODE_LASTS_S, LOGIN_LASTS_S, Accounts, Refused
from station.access.accounts_schema import ACCOUNTS_FILE, AccountError
from station.access.passwords import PasswordError

WORDS = "several words of a test"
IDLE_S = 600.0


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Place:
    folder: Path
    clock: Clock = field(default_factory=Clock)

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.folder, idle_s=IDLE_S, clock=self.clock)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "hmi")


def anna(place: Place, *roles: str) -> str:
    code = place.accounts.invite("Anna", roles or ("operator",), "test", via="test")
    return place.accounts.welcome("Anna", code, WORDS, "a")


def test_a_login_ends_when_it_is_idle_and_after_half_a_day_whatever_happens(place: Place) -> None:
    token = anna(place)
    begin = place.clock.now
    while place.clock.now - begin < LOGIN_LASTS_S - IDLE_S:
        place.clock.now += IDLE_S * 0.9
        assert place.accounts.login_of(token) is not None
    place.clock.now = begin + LOGIN_LASTS_S
    assert place.accounts.login_of(token) is None
    token = place.accounts.sign_in("anna", WORDS, "a")  # names are the same in whatever case
    place.clock.now += IDLE_S
    assert place.accounts.login_of(token) is None


def test_a_code_is_good_for_a_week(place: Place) -> None:
    code = place.accounts.invite("Anna", ["operator"], "test", via="test")
    place.clock.now += CODE_LASTS_S + 1
    with pytest.raises(Refused):
        place.accounts.welcome("Anna", code, WORDS, "a")


def test_wrong_tries_are_slowed_down_more_and_more_for_a_name_whatever_the_address(place: Place) -> None:
    anna(place)
    locks = []
    for number in range(12):
        with pytest.raises(Refused):
            place.accounts.sign_in("Anna", "wrong words here", f"address {number}")
        waited = 0
        while True:
            try:
                place.accounts.sign_in("Anna", WORDS, "elsewhere")
            except Refused:
                waited += 30
                place.clock.now += 30
                continue
            break
        # The right password clears the tries, so fail as often again.
        locks.append(waited)
        if number >= 5:
            break
        for again in range(number + 1):
            with pytest.raises(Refused):
                place.accounts.sign_in("Anna", "wrong words here", f"again {number} {again}")
    assert locks[0] == 0
    assert max(locks) >= 60


def test_tries_of_one_address_are_slowed_down_for_all_names(place: Place) -> None:
    anna(place)
    for number in range(20):
        with pytest.raises(Refused):
            place.accounts.sign_in(f"guess {number}", "wrong words here", "bad")
    with pytest.raises(Refused):
        place.accounts.sign_in("Anna", WORDS, "bad")
    assert place.accounts.sign_in("Anna", WORDS, "good")


def test_other_roles_and_a_lock_end_the_logins(place: Place) -> None:
    token = anna(place)
    place.accounts.set_roles("Anna", ["quality"], "test", via="test")
    assert place.accounts.login_of(token) is None
    token = place.accounts.sign_in("Anna", WORDS, "a")
    login = place.accounts.login_of(token)
    assert login is not None
    assert login.roles == ("quality",)
    place.accounts.set_locked("Anna", "test", locked=True, via="test")
    assert place.accounts.login_of(token) is None
    with pytest.raises(Refused):
        place.accounts.sign_in("Anna", WORDS, "a")
    place.accounts.set_locked("Anna", "test", locked=False, via="test")
    assert place.accounts.sign_in("Anna", WORDS, "a")


def test_the_last_admin_stays(place: Place) -> None:
    anna(place, "admin")
    with pytest.raises(AccountError, match="last admin"):
        place.accounts.set_locked("Anna", "test", locked=True, via="test")
    with pytest.raises(AccountError, match="last admin"):
        place.accounts.set_roles("Anna", ["viewer"], "test", via="test")


@pytest.mark.parametrize("name", ["", " a", "a\n", "x" * 33, "a\x1b[31m"])
def test_a_name_is_short_and_can_be_printed(place: Place, name: str) -> None:
    with pytest.raises(AccountError, match="letters"):
        place.accounts.invite(name, ["operator"], "test", via="test")


def test_a_password_is_not_short_and_not_the_name() -> None:
    for bad in ("short", "annaannaanna", "aaaaaaaaaaaaa", "x" * 201):
        with pytest.raises(PasswordError):
            passwords.check_new(bad, "annaannaanna")
    passwords.check_new(WORDS, "anna")


def test_nothing_secret_is_stored_as_it_is_and_only_the_owner_reads(place: Place) -> None:
    token = anna(place)
    content = b"".join(file.read_bytes() for file in place.folder.iterdir())
    assert token.encode() not in content
    assert WORDS.encode() not in content
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in content
    assert (place.folder / ACCOUNTS_FILE).stat().st_mode & 0o077 == 0


def trail(place: Place, *statements: str) -> str:
    """What is wrong with the chain after somebody has been at the file."""
    connection = sqlite3.connect(place.folder / ACCOUNTS_FILE)
    for trigger in ("audit_is_never_changed", "audit_is_never_deleted"):
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return place.accounts.verified().broken


def test_the_chain_of_what_was_done_shows_a_row_that_was_changed_removed_or_swapped(place: Place) -> None:
    anna(place)
    for role in ("quality", "operator", "viewer"):
        place.accounts.set_roles("Anna", [role], "test", via="test")
    whole = place.accounts.verified()
    assert (whole.rows >= 5, whole.broken) == (True, "")
    assert [deed.seq for deed in place.accounts.deeds(2)] == [whole.rows, whole.rows - 1]
    assert "row 2 was changed" in trail(place, "UPDATE audit SET who = 'somebody' WHERE seq = 2")
    assert "row 1" in trail(place, "UPDATE audit SET seq = 1000 WHERE seq = 1")


def test_a_removed_row_and_a_cut_end_are_found(place: Place) -> None:
    anna(place)
    head = place.accounts.verified().head
    place.accounts.set_roles("Anna", ["quality"], "test", via="test")
    newest = place.accounts.verified()
    assert place.accounts.verified(head).broken == ""
    assert trail(place, f"DELETE FROM audit WHERE seq = {newest.rows}") == ""  # not from inside
    assert "cut off" in place.accounts.verified(newest.head).broken
    assert "row 2 is missing" in trail(place, "DELETE FROM audit WHERE seq = 2")


def test_the_trail_cannot_be_changed_by_a_mistake(place: Place) -> None:
    anna(place)
    connection = sqlite3.connect(place.folder / ACCOUNTS_FILE)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM audit")
    connection.close()
