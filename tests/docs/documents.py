"""The documents of the repository, and what they name: paths, commands, modules, targets of make."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HISTORIC = {"CHANGELOG.md", "docs/decisions/0001-layout-and-flow.md"}
"""Documents that name what stood at their time."""
_FOLDERS = "station|engines|drivers|docs|tests|benchmarks|deploy|systemd"
_PATH = re.compile(rf"(?<![\w/.-])(?:{_FOLDERS})/[\w./-]*\w/?")
_FILE = re.compile(r"(?<![\w/])\w+\.(?:py|c|h|st)(?![\w/])")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_STATION = re.compile(r"(?:^|[ |/])station((?: +[^|&;]+)+)")
_SERVICE_USER = re.compile(r"sudo -u station ")


@dataclass(frozen=True, slots=True)
class Command:
    """A command line that a document shows."""

    words: tuple[str, ...]
    """After `station`."""
    is_whole: bool
    """It stands in a block to be copied; in running text a command may be named without what it needs."""

    def __str__(self) -> str:
        return " ".join(("station", *self.words))


def documents() -> list[str]:
    """Every Markdown file of the repository, relative to its root, but for the historic ones."""
    files = [*ROOT.glob("*.md"), *(path for folder in _FOLDERS.split("|") for path in (ROOT / folder).rglob("*.md"))]
    return sorted({str(path.relative_to(ROOT)) for path in files} - HISTORIC)


def paths(text: str) -> set[str]:
    """Paths from the root of the repository; one with NAME in it stands for any."""
    return {path for path in _PATH.findall(text) if "NAME" not in path}


def file_names(text: str) -> set[str]:
    """Names of source files without their folder, in backticks."""
    return {name for code in _CODE.findall(_without_blocks(text)) for name in _FILE.findall(code)}


def links(text: str) -> set[str]:
    """Targets of links and pictures inside the repository."""
    return set(_LINK.findall(text))


def modules(text: str) -> set[str]:
    """What stands behind `python -m`."""
    return set(re.findall(r"python3? -m ([a-z_]+(?:\.[a-z_]+)*)", text))


def make_targets(text: str) -> set[str]:
    """What stands behind `make` where it is a command."""
    blocks = "\n".join(block for _, block in _FENCE.findall(text))
    lines = [*blocks.splitlines(), *_CODE.findall(_without_blocks(text))]
    return {found[1] for line in lines if (found := re.match(r"(?:\$ )?make ([a-z-]+)", line.strip()))}


def commands(text: str) -> list[Command]:
    """Every `station ...`, from blocks and from running text."""
    found = []
    for language, block in _FENCE.findall(text):
        if language in ("", "sh", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                found += _commands(line.split(" #")[0].strip(), is_whole=True)
    text = _without_blocks(text)
    for line in re.findall(r"^    (.+)$", text, re.MULTILINE):
        found += _commands(line.strip(), is_whole=True)
    for code in _CODE.findall(text):
        found += _commands(code, is_whole=False)
    return found


def _commands(line: str, is_whole: bool) -> list[Command]:
    line = _SERVICE_USER.sub("", line)
    if not re.match(r"(?:\S*/)?station |sudo |runuser ", line):
        return []
    return [
        Command(tuple(word for word in shlex.split(re.sub(r"[][]", " ", words)) if word != "..."), is_whole)
        for words in _STATION.findall(line)
    ]


def _without_blocks(text: str) -> str:
    return _FENCE.sub("", text)
