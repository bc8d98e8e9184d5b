"""The command `station`: one table of commands, and none of them loads what another one needs."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from station.commands import options
from station.commands.main import COMMANDS, EXIT_READER_GONE, build_parser, main
from station.configuration.file import ConfigurationError, control_socket_of
from station.configuration.load import load_station
from station.simulation.parts.pictures import Canvas
from station.simulation.run.workspace import configuration

INSPECTING = {"numpy", "cv2", "onnxruntime", "openvino", "pymodbus", "harvesters", "genicam", "structlog", "torch"}
LOADED = """
import json, sys
from station.commands.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def helps(parser: argparse.ArgumentParser) -> dict[str, str | None]:
    """The help line of each command, in order."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {choice.dest: choice.help for choice in commands._choices_actions}


def loaded_by(*arguments: str) -> set[str]:
    """Modules that are loaded when the command has ended."""
    done = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_the_table_repeats_the_help_lines_of_the_parsers() -> None:
    assert helps(build_parser()) == {name: text for name, (_, text) in COMMANDS.items()}
    assert helps(build_parser([])) == helps(build_parser())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: station {command} [-h]")


@pytest.mark.system
def test_help_loads_the_standard_library_alone() -> None:
    loaded = loaded_by("--help")
    assert loaded & (INSPECTING | {"pydantic", "rich", "sqlite3"}) == set()
    assert {name for name in loaded if name.startswith("station.commands.")} == {"station.commands.main"}


@pytest.mark.system
@pytest.mark.parametrize("command", ["status", "online", "offline", "clear", "reload"])
def test_asking_the_station_loads_nothing_that_inspects_parts(command: str, tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(configuration(Canvas(64, 64, 1), tmp_path / "engine", 1502, trigger="line"), encoding="utf-8")
    loaded = loaded_by(command, "--config", str(path))
    assert "station.configuration.file" in loaded
    assert loaded & (INSPECTING | {"pydantic", "rich", "sqlite3"}) == set()


@pytest.mark.system
def test_the_daemon_does_without_what_only_people_look_at(tmp_path: Path) -> None:
    loaded = loaded_by("run", "--config", str(tmp_path / "missing.toml"))
    assert {"structlog", "station.daemon.daemon"} <= loaded
    assert loaded & {"rich", "pygments", "torch", "scipy", "matplotlib"} == set()


@pytest.mark.system
@pytest.mark.parametrize("command", ["parts", "counts"])
def test_lists_of_parts_load_nothing_that_inspects_parts(command: str, tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(configuration(Canvas(64, 64, 1), tmp_path / "engine", 1502, trigger="line"), encoding="utf-8")
    loaded = loaded_by(command, "--config", str(path))
    assert "station.records.selection" in loaded
    assert loaded & INSPECTING == set()


@pytest.mark.parametrize("work_dir", ["", 'work_dir = "elsewhere"', 'work_dir = "/nowhere/work"'])
def test_the_socket_is_where_the_checked_configuration_has_it(work_dir: str, tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    text = configuration(Canvas(64, 64, 1), tmp_path / "engine", 1502, trigger="line")
    path.write_text(re.sub(r"work_dir = .*", work_dir, text), encoding="utf-8")
    assert control_socket_of(path) == load_station(path).control_socket


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[station", "is not valid TOML"),
        ("[station]\nwork_dir = 5\n", r"\[station\] work_dir = 5: must be the path of a folder"),
        ("station = 5\n", r"\[station\] work_dir = None: must be"),
    ],
)
def test_a_file_without_a_work_folder_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=problem):
        control_socket_of(path)


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["status", "--foo"], "usage: station status "),
        (["engine", "list", "--foo"], "usage: station engine list "),
        (["plc", "monitor", "more"], "usage: station plc monitor "),
    ],
)
def test_what_a_command_does_not_know_shows_the_usage_of_that_command(
    words: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(usage)
    assert f"unrecognized arguments: {words[-1]}" in said


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A working directory, and what stands for /etc/station/station.toml."""
    here, installed = tmp_path / "here", tmp_path / "etc" / "station.toml"
    here.mkdir()
    installed.parent.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv(options.CONFIG_VARIABLE, raising=False)
    monkeypatch.setattr(options, "CONFIG_PLACES", (Path("station.toml"), installed))
    return here, installed


def meant() -> Path:
    found = build_parser(["status"]).parse_args(["status"]).config
    assert isinstance(found, Path)
    return found


def test_a_configuration_that_is_not_named_is_looked_for(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, installed = places
    assert meant() == Path("station.toml")
    installed.touch()
    assert meant() == installed
    (here / "station.toml").touch()
    assert meant() == Path("station.toml")
    monkeypatch.setenv(options.CONFIG_VARIABLE, "/srv/line-4.toml")
    assert meant() == Path("/srv/line-4.toml")
    assert build_parser(["status"]).parse_args(["status", "--config", "x.toml"]).config == Path("x.toml")


@pytest.mark.usefixtures("places")
def test_no_configuration_anywhere_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 2
    assert capsys.readouterr().err.endswith("no such file; name it with --config FILE or $STATION_CONFIG\n")


@pytest.mark.system
def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    command = [sys.executable, "-m", "station", "completion", "bash"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(60) == EXIT_READER_GONE


@pytest.mark.system
@pytest.mark.parametrize(("words", "completed"), [(["sta"], "status"), (["engine", "act"], "activate")])
def test_bash_completes_commands(words: list[str], completed: str, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(subprocess.check_output([sys.executable, "-m", "station", "completion", "bash"], text=True))
    typed = " ".join(["station", *words])
    asked = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _shtab_station; echo ${{COMPREPLY[@]}}"
    assert subprocess.check_output(["bash", "-c", asked], text=True).split() == [completed]


def test_an_unknown_command_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["statsu"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert 'no command "statsu", did you mean "status"?' in said
    assert all(name in said for name in COMMANDS)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["engine", "lst"], 'station engine: error: argument ACTION: no "lst", did you mean "list"?; there are: list,'),
        (["engine", "activate", "1", "--varians", "remove"], 'did you mean "--variants"?'),
        (["parts", "--jsno"], 'station parts: error: unrecognized arguments: --jsno, did you mean "--json"?'),
        (["counts", "--by", "shft"], 'no "shft", did you mean "shift"?; there are: shift, hour'),
        (["label", "1", "godo"], 'no "godo", did you mean "good"?'),
        (["label", "1", "\x1b[2J"], 'no "\\x1b[2J"; there are: good'),
        (["parts", "--re=\x1b[2J"], "ambiguous option: --re=\\x1b[2J could match"),
        (["\x1b[2J"], 'no command "\\x1b[2J"'),
    ],
)
def test_a_mistyped_action_option_or_value_gets_a_suggestion(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert meant in said
    assert "\x1b" not in said
