"""`station msa`: what is printed, what is refused, and the keys of every `--json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from docs.generate.commands import json_of, leaves
from station.commands import main as cli
from station.commands.main import build_parser
from station.configuration.load import load_station
from station.daemon.control_server import ControlServer
from tests.bench.pages import write_configuration

HELP = {" ".join(words): json_of(parser) for words, parser in leaves(build_parser(["msa"]))}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "parts.csv").write_text("17,good\n18,defective\n")
    return write_configuration(tmp_path)


def keys(action: str, made: dict[str, Any]) -> None:
    said = HELP[f"msa {action}"]
    assert said is not None
    assert list(made) == said.removeprefix("a list of ").split(", ")


def test_a_study_from_the_shell(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str, code: int = 0) -> Any:
        assert cli.main(["msa", *words, "--config", str(config), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    planned = said("plan", "s", "--parts", str(tmp_path / "parts.csv"), "--seed", "3")
    keys("plan", planned)
    assert planned["defective"] == 1
    rows = tmp_path / "anna.csv"
    rows.write_text("trial,part,said\n" + "".join(f"{trial},17,accept\n{trial},18,r\n" for trial in (1, 2, 3)))
    entered = said("enter", "s", "--appraiser", "anna", "--file", str(rows))
    keys("enter", entered)
    assert entered["kept"] == 6
    found = said("report", "s")
    keys("report", found)
    assert (found["grade"], found["disagreements"]) == ("acceptable", [])
    (listed,) = said("list")
    keys("list", listed)
    assert listed["said"] == {"anna": 3}
    asked: list[Any] = []
    socket = load_station(config).control_socket
    socket.parent.mkdir(parents=True, exist_ok=True)

    def challenge(request: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {}

    server = ControlServer(socket, {"challenge": challenge})
    server.start()
    try:
        started = said("run", "s")
    finally:
        server.close()
    keys("run", started)
    assert sorted(asked[0]["parts"]) == [["17", True], ["18", False]]
    assert started["next_part"] == asked[0]["parts"][0][0]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("report", "none"), "there is no study"),
        (("plan", "s", "--parts", "none.csv"), "cannot be read"),
        (("plan", "s", "--labelled", "2"), "records"),
        (("plan", "../s", "--parts", "parts.csv"), "letters, digits"),
        (("enter", "s", "--appraiser", "station", "--file", "rows.csv"), "this station"),
        (("enter", "s", "--appraiser", "anna", "--file", "odd.csv"), "line 1"),
        (("enter", "s", "--appraiser", "anna"), "at a terminal"),
        (("report", "s", "--output", "s.doc"), "must end in"),
        (("run", "s"), "station"),
    ],
)
def test_what_is_refused(
    config: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    tmp_path = config.parent
    words = tuple(str(tmp_path / word) if word.endswith((".csv", ".doc")) else word for word in words)
    (tmp_path / "rows.csv").write_text("1,17,accept\n")
    (tmp_path / "odd.csv").write_text("1,17,perhaps\n")
    if words[0] != "plan":
        assert cli.main(["msa", "plan", "s", "--parts", str(tmp_path / "parts.csv"), "--config", str(config)]) == 0
    capsys.readouterr()
    assert cli.main(["msa", *words, "--config", str(config)]) == 2
    assert problem in capsys.readouterr().err
