"""Who asks the pages whether a password is right: the plant process, over a place without a file, and nobody else."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from station.access import proving
from station.access.accounts import Accounts
from station.access.accounts_schema import AccountError
from tests.bench.other_user import ANNA, BEN, PAGES, as_user, needs_root, open_folder

PASSWORD = "correct horse battery"
HERE = "opcua 10.0.7.9"


def people(folder: Path) -> None:
    accounts = Accounts(folder, idle_s=900.0)
    accounts.welcome("anna", accounts.invite("anna", ["operator"], "test", via="test"), PASSWORD, "test")


def test_the_own_user_opens_the_accounts(tmp_path: Path) -> None:
    people(tmp_path)
    assert proving.roles_of(tmp_path, "ANNA", PASSWORD, HERE) == ("operator",)
    assert proving.roles_of(tmp_path, "anna", "wrong", HERE) is None
    assert proving.roles_of(tmp_path, "nobody", PASSWORD, HERE) is None


def test_a_user_without_an_account_has_his_number() -> None:
    assert proving.uid_of(f"uid {PAGES}") == {PAGES}
    assert proving.uid_of("root") == {0}
    assert proving.uid_of("nobody-has-this-name") == proving.uid_of("") == set()


@pytest.mark.system
@needs_root
class TestAsAnotherUser:
    """Accounts of PAGES; ANNA is the plant process, BEN somebody else of this computer."""

    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        with open_folder() as outer:
            folder = outer / "hmi"
            folder.mkdir(mode=0o750)
            people(folder)
            for each in (folder, *folder.iterdir()):
                os.chown(each, PAGES, PAGES)
            yield folder

    @pytest.fixture
    def pages(self, folder: Path) -> Iterator[Path]:
        """A process of the pages, as their user."""
        ready, started = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(PAGES, PAGES, PAGES)
            os.setresuid(PAGES, PAGES, PAGES)
            with proving.proving(folder, {ANNA}):
                os.write(started, b"x")
                time.sleep(120)
            os._exit(0)
        os.read(ready, 1)
        yield folder
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(started)

    @staticmethod
    def asks(uid: int, folder: Path, name: str, password: str) -> Any:
        return as_user(uid, uid, lambda: proving.roles_of(folder, name, password, HERE))

    def test_the_plant_process_gets_roles_and_never_the_accounts(self, pages: Path) -> None:
        assert self.asks(ANNA, pages, "Anna", PASSWORD) == ["operator"]
        assert self.asks(ANNA, pages, "anna", "wrong") is None
        assert "Permission denied" in as_user(ANNA, ANNA, lambda: (pages / "hmi.db").read_bytes().hex())

    def test_wrong_tries_are_counted_and_slowed_down(self, pages: Path) -> None:
        for _ in range(5):
            assert self.asks(ANNA, pages, "anna", "wrong") is None
        assert self.asks(ANNA, pages, "anna", PASSWORD) is None
        assert "slowed down" in [deed.result for deed in Accounts(pages, idle_s=0.0).deeds(9)]

    def test_others_get_no_reply(self, pages: Path) -> None:
        said = self.asks(BEN, pages, "anna", PASSWORD)
        assert f"uid {BEN} may not ask: [access] plant_user names who may" in said

    def test_without_pages_a_sentence_says_what_to_do(self, folder: Path) -> None:
        assert "do not reply" in (said := self.asks(ANNA, folder, "anna", PASSWORD))
        assert "systemctl start station-hmi" in said

    def test_who_takes_the_place_of_the_pages_gets_no_password(self, folder: Path) -> None:
        ready, listens = os.pipe()
        back, out = os.pipe()
        child = os.fork()
        if child == 0:
            os.setresuid(BEN, BEN, BEN)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as taken:
                taken.bind(proving._place(folder))
                taken.listen()
                os.write(listens, b"x")
                heard = taken.accept()[0].recv(1000)
            os.write(out, b"heard:" + heard)
            os._exit(0)
        os.read(ready, 1)
        assert f"uid {BEN} has the place of the pages" in self.asks(ANNA, folder, "anna", PASSWORD)
        assert os.read(back, 1000) == b"heard:"
        os.waitpid(child, 0)


def test_garbage_is_refused_and_the_next_one_served(tmp_path: Path) -> None:
    people(tmp_path)
    with proving.proving(tmp_path, set()):
        for line in (b"x\n", b"[1]\n", b'{"name": 5, "password": "", "address": ""}\n', b"\n", b"[" * 4000 + b"\n"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                one.connect(proving._place(tmp_path))
                one.sendall(line)
                assert b"problem" in one.makefile("rb").readline()
        asked = {"name": "anna", "password": PASSWORD, "address": HERE}
        assert proving._asked(tmp_path, os.geteuid(), asked) == ("operator",)
        with proving.proving(tmp_path, set()):  # another process of the pages: it goes on without
            assert proving._asked(tmp_path, os.geteuid(), asked) == ("operator",)
    with pytest.raises(AccountError, match="do not reply"):
        proving._asked(tmp_path, os.geteuid(), asked)
