"""docs/commands.md: what each command prints with `--json`, taken from the parsers' own help lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from station.commands.main import build_parser

OF_JSON = "as JSON: "
WITHOUT_JSON = {
    "run": 'runs until it is stopped; its log is JSON with `[log] format = "json"`',
    "hmi": 'runs until it is stopped; its log is JSON with `[log] format = "json"`',
    "plant run": 'runs until it is stopped; its log is JSON with `[log] format = "json"`',
    "fleet schema": "prints a script for psql",
    "fleet worker": "runs until it is stopped; what it does is in `station fleet jobs`",
    "process run": "runs until it is stopped; what it finds is in its log and in `station process status`",
    "completion": "prints a script for a shell",
}
"""Commands that have no JSON, and why."""
HEAD = """# Commands for scripts

Written by `make docs` from the commands' own help lines.

With `--json` a command prints one document of JSON on standard output and nothing else there. Keys behind a semicolon
are there in some cases only. Times are ISO 8601 with the distance from UTC, by the clock of the station (`[station]
time_zone`); rows of the records also have `wall_time`, seconds since 1970. A number that is not known is `null`. Text
of others is escaped: nothing in it moves a cursor.

What cannot be done is said in words on standard error, with exit code 2 and nothing on standard output, but for
findings: `station check`, `station recipe check`, `station engine verify` and, for a part id that several parts have,
`station label` print what they found and end with 2. The other exit codes stand in [maintenance](maintenance.md).

| command | `--json` prints |
| --- | --- |
"""


def leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command that can be typed, with its words and its parser."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    if not inner:
        yield words, parser
    for action in inner:
        for name, below in action.choices.items():
            yield from leaves(below, (*words, name))


def json_of(parser: argparse.ArgumentParser) -> str | None:
    """What `--json` of this command prints; None: it has none."""
    for action in parser._actions:  # noqa: SLF001
        if "--json" in action.option_strings:
            return (action.help or "").removeprefix(OF_JSON)
    return None


def markdown() -> str:
    """The page."""
    lines = []
    for words, parser in leaves(build_parser()):
        name = " ".join(words)
        holds = json_of(parser)
        lines.append(f"| `station {name}` | {holds if holds is not None else f'no `--json`: {WITHOUT_JSON[name]}'} |")
    return HEAD + "\n".join(lines) + "\n"
