"""Every path, module, target and command line that a document names exists."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
from functools import lru_cache

import pytest

from station.commands.main import build_parser
from tests.docs.documents import ROOT, Command, commands, documents, file_names, links, make_targets, modules, paths

_NUMBERS = {"N", "PART_ID", "ACQUISITION_ID", "NUMBER", "VERSION", "PORT"}
_MORE_IS_NEEDED = re.compile(r"are required|expected (one|at least one) argument")
_SOURCES = ("station", "engines", "drivers", "docs", "tests", "benchmarks", "deploy")
_EXAMPLES = {"engines/flange"}
"""Paths in an example of station.toml: beside that file, not in the repository."""


def read(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("name", documents())
def test_every_path_exists(name: str) -> None:
    assert [path for path in sorted(paths(read(name)) - _EXAMPLES) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", documents())
def test_every_source_file_exists(name: str) -> None:
    there = {path.name for folder in _SOURCES for path in (ROOT / folder).rglob("*") if path.suffix}
    assert sorted(file_names(read(name)) - there) == []


@pytest.mark.parametrize("name", documents())
def test_every_link_leads_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    assert [target for target in sorted(links(read(name))) if not (folder / target).exists()] == []


@pytest.mark.parametrize("name", documents())
def test_every_module_exists(name: str) -> None:
    assert [module for module in sorted(modules(read(name))) if importlib.util.find_spec(module) is None] == []


@pytest.mark.parametrize("name", documents())
def test_every_target_of_make_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert sorted(make_targets(read(name)) - targets) == []


@pytest.mark.parametrize("name", documents())
def test_every_command_can_be_typed(name: str) -> None:
    assert [problem for command in commands(read(name)) if (problem := what_is_wrong(command))] == []


parser = lru_cache(maxsize=1)(build_parser)
"""Of every command, which takes longer to make than to ask."""


def what_is_wrong(command: Command) -> str:
    """What the parser of `station` says against a command; empty when it takes it."""
    words = ["1" if word in _NUMBERS else word for word in command.words]
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(heard):
        try:
            parser().parse_args(words)
        except SystemExit as end:
            said = heard.getvalue().strip().splitlines()[-1]
            if end.code and (command.is_whole or not _MORE_IS_NEEDED.search(said)):
                return f"{command}: {said}"
    return ""


def test_the_sieve_finds_what_is_wrong() -> None:
    text = "`station/nowhere.py` `gone_for_good.py` [there](nowhere.md) `python -m station.nowhere` `make nothing`\n"
    text += "`station statsu` `station status --jsn` `station trace`\n```\nstation trace   # a part\n```\n"
    assert paths(text) == {"station/nowhere.py"}
    assert file_names(text) >= {"gone_for_good.py"}
    assert (links(text), modules(text), make_targets(text)) == ({"nowhere.md"}, {"station.nowhere"}, {"nothing"})
    wrong = [str(command) for command in commands(text) if what_is_wrong(command)]
    assert sorted(wrong) == ["station statsu", "station status --jsn", "station trace"]
