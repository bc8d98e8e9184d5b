"""Text that others may have written, and a station whose commands meet it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from station.commands import main as cli
from station.configuration import load as config
from station.control import ControlError
from station.daemon.control_server import ControlServer
from station.line.signalling.snapshot import readable
from station.records.schema import open_writer
from station.records.statement import Statement
from tests.commands.test_status import IDLE, SNAPSHOT

NASTY = "[/x] [bold red]a[decision.limits] \x1b[2J\x1b]0;t\x07\u202e\udcff :smile: {0} <b>&amp;"
SHOWN = "[/x] [bold red]a[decision.limits] \\x1b[2J\\x1b]0;t\\x07\\u202e\\udcff :smile: {0} <b>&amp;"
IN_FILES = NASTY.replace("\udcff", "")
"""What can be encoded, for files and databases."""
SHOWN_OF_FILES = SHOWN.replace("\\udcff", "")


@dataclass
class World:
    """A station's folder in which every text is nasty, and what the commands say."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.folder / "station.toml"

    def said(self) -> str:
        captured = self.capture.readouterr()
        return captured.out + captured.err

    def run(self, *words: str, expected: str = SHOWN_OF_FILES) -> None:
        """The command ends in order and shows the text as it stands."""
        assert cli.main([*words, "--config", str(self.config)]) in (0, 1, 2)
        self.check(expected)

    def check(self, expected: str = SHOWN) -> str:
        said = self.said()
        assert all(each.isprintable() or each == "\n" for each in said), ascii(said)
        assert expected in said
        return said

    def records(self, *statements: Statement) -> None:
        folder = config.load_station(self.config).records_dir
        folder.mkdir(parents=True, exist_ok=True)
        with closing(open_writer(folder / "records.db")) as connection:
            for statement in statements:
                connection.execute(statement.sql, statement.values)
            connection.commit()

    def answering(self, reply: Callable[[], dict[str, Any]], *words: str, expected: str = SHOWN) -> None:
        socket = config.load_station(self.config).control_socket
        socket.parent.mkdir(parents=True, exist_ok=True)
        names = ("status", "online", "offline", "clear", "reload", "recipe", "teach", "challenge", "batch", "second")
        server = ControlServer(socket, {name: lambda _: reply() for name in names})
        server.start()
        try:
            self.run(*words, expected=expected)
        finally:
            server.close()


def refusing() -> dict[str, Any]:
    raise ControlError(NASTY)


def state(**changes: Any) -> Callable[[], dict[str, Any]]:
    own: dict[str, Any] = {"records": {"detail": NASTY, "lost": 1, "waiting": 2, "replaced": 0}}
    own |= {"runtime": NASTY, "refused": NASTY, "refused_ago_s": 61.0, **IDLE}
    return lambda: {"status": {**readable(SNAPSHOT), **own, **changes}}
