"""Who may ask for what: by groups, for every command, checked by the daemon with what the kernel says."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.access import rights
from station.access.roles import Role, RoleGroups
from station.control import ControlError, request
from station.daemon.control_server import ControlServer

GROUPS = RoleGroups(frozenset({"shift"}), frozenset({"service", "quality"}))
ALL = (
    "status",
    "online",
    "offline",
    "clear",
    "recipe",
    "batch",
    "challenge",
    "reload",
    "settings",
    "trigger",
    "points",
    "teach",
    "engine",
    "refresh",
    "shadow",
    "monitoring",
    "quarantine",
    "second",
)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ((), Role.LOOK),
        (("users", "video"), Role.LOOK),
        (("users", "shift"), Role.OPERATE),
        (("quality",), Role.MAINTAIN),
        (("shift", "service"), Role.MAINTAIN),
    ],
)
def test_the_highest_role_of_all_groups_counts(groups: tuple[str, ...], role: Role) -> None:
    assert GROUPS.role_of(groups) is role


def test_root_and_the_user_of_the_station_may_everything() -> None:
    for uid in (0, os.geteuid()):
        assert RoleGroups().caller(uid, os.getegid()).role is Role.MAINTAIN


def test_a_user_without_an_account_has_the_group_of_his_process() -> None:
    known = grp.getgrgid(0).gr_name
    caller = RoleGroups(operate=frozenset({known})).caller(4_000_000, 0)
    assert (caller.user, caller.role) == ("uid 4000000", Role.OPERATE)
    assert RoleGroups(operate=frozenset({known})).caller(4_000_000, 4_000_000).role is Role.LOOK


def test_a_request_without_an_entry_needs_the_highest_role() -> None:
    for strange in ({}, {"command": 5}, {"command": "dance"}, {"command": ["status"]}):
        assert rights.needed(strange) is Role.MAINTAIN
    assert rights.needed({"command": "challenge", "action": "start"}) is Role.OPERATE
    assert rights.needed({"command": "challenge", "action": ["reset"]}) is Role.OPERATE  # the handler refuses it
    assert rights.needed({"command": "challenge", "action": "reset"}) is Role.MAINTAIN


ASK = """
import os, socket, sys
path, uid, gid, line = sys.argv[1:5]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
connection.sendall(line.encode() + b"\\n")
print(connection.makefile().readline())
"""


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="another user needs root")
class TestAsAnotherUser:
    """A process of the user `nobody` asks; the role comes from the groups that the system knows of him."""

    @pytest.fixture
    def heard(self) -> list[str]:
        return []

    @pytest.fixture
    def server(self, heard: list[str]) -> Iterator[tuple[Path, RoleGroups]]:
        nobody = pwd.getpwnam("nobody")
        group = grp.getgrgid(nobody.pw_gid).gr_name
        with tempfile.TemporaryDirectory() as folder:  # that of pytest is closed to others
            Path(folder).chmod(0o755)
            path = Path(folder) / "sock"
            groups = RoleGroups(operate=frozenset({group}), maintain=frozenset({"service"}))
            server = ControlServer(path, {name: lambda _: {} for name in ALL}, groups, heard.append)
            os.chown(path, 0, nobody.pw_gid)
            server.start()
            yield path, groups
            server.close()

    @staticmethod
    def ask(path: Path, line: str) -> str:
        nobody = pwd.getpwnam("nobody")
        done = subprocess.run(
            [sys.executable, "-c", ASK, path, str(nobody.pw_uid), str(nobody.pw_gid), line],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout

    def test_every_command_is_refused_or_done_by_the_table(
        self, server: tuple[Path, RoleGroups], heard: list[str]
    ) -> None:
        path, _ = server
        assert rights.COMMANDS.keys() == set(ALL)
        for command in ALL:
            answer = self.ask(path, f'{{"command": "{command}"}}')
            assert ('"ok": true' in answer) == (rights.COMMANDS[command] <= Role.OPERATE), (command, answer)
        closed = [command for command in ALL if rights.COMMANDS[command] is Role.MAINTAIN]
        assert heard == [f"nobody may operate and asked for {command}" for command in closed]

    def test_the_refusal_names_the_groups(self, server: tuple[Path, RoleGroups]) -> None:
        answer = self.ask(server[0], '{"command": "challenge", "action": "reset", "who": "x", "user": "root"}')
        assert "needs the role maintain, nobody has operate" in answer
        assert "service (sudo usermod -aG GROUP nobody" in answer

    def test_whom_the_socket_does_not_belong_to_does_not_get_in(self, server: tuple[Path, RoleGroups]) -> None:
        os.chown(server[0], 0, 0)
        with pytest.raises(subprocess.CalledProcessError) as caught:
            self.ask(server[0], '{"command": "status"}')
        assert "PermissionError" in caught.value.stderr

    def test_the_command_says_which_group_it_takes(self, server: tuple[Path, RoleGroups]) -> None:
        os.chown(server[0], 0, 0)
        asks = "import os, sys; from station.control import request; from pathlib import Path; "
        asks += "os.setgroups([]); os.setgid(65534); os.setuid(int(sys.argv[1])); request(Path(sys.argv[2]), {})"
        nobody = str(pwd.getpwnam("nobody").pw_uid)
        source = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", asks, nobody, server[0]], capture_output=True, text=True, cwd=source, timeout=30
        )
        assert "is closed to you" in done.stderr
        assert "usermod -aG station" in done.stderr


def test_the_own_user_is_not_refused(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "sock", {"teach": lambda _: {}})
    server.start()
    try:
        assert request(tmp_path / "sock", {"command": "teach"})["ok"]
        with pytest.raises(ControlError, match="unknown command"):
            request(tmp_path / "sock", {"command": "dance"})
    finally:
        server.close()
