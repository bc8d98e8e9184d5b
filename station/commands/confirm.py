"""`station confirm`: what waits for a second person, and where another user of the computer confirms it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from station.commands.options import RELOAD_TIMEOUT_S, add_config_option, add_json_option, ask, complain, show
from station.configuration.file import ConfigurationError
from station.control import ControlError
from station.terminal import one_line

_JSON = "rules, waiting; of a number: number, done"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `confirm`."""
    parser = commands.add_parser(
        "confirm",
        help="what waits for a second person: list, confirm, withdraw",
        description="Without a number: everything that waits, with every value that would change. What was asked "
        "on the pages is confirmed there.",
    )
    parser.add_argument("number", nargs="?", type=int, metavar="NUMBER", help="the request to confirm, as listed")
    parser.add_argument("--withdraw", action="store_true", help="nothing comes of it, in place of confirming")
    parser.add_argument("--yes", action="store_true", help="do not ask once more")
    add_config_option(parser)
    add_json_option(parser, _JSON)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Lists, confirms or withdraws."""
    try:
        reply = ask(options.config, {"command": "second", "action": "list"})
        if options.number is None:
            if options.withdraw:
                return complain("--withdraw needs the NUMBER of the request: station confirm")
            return _list(options, reply)
        one = next((each for each in reply["waiting"] if each["number"] == options.number), None)
        if one is None:
            return complain(f"request {options.number} does not wait: it is done, withdrawn, or too old")
        if not options.withdraw and not _is_sure(options, one):
            return complain("not confirmed; nothing was changed")
        action = "withdraw" if options.withdraw else "confirm"
        asked = {"command": "second", "action": action, "number": options.number, "digest": one["digest"]}
        ask(options.config, asked, RELOAD_TIMEOUT_S)
    except (ConfigurationError, ControlError) as problem:
        return complain(problem)
    said = "withdrawn: nothing comes of it" if options.withdraw else "done; both names are on record"
    show(options, {"number": options.number, "done": not options.withdraw}, f"request {options.number} is {said}")
    return 0


def waits(waiting: Mapping[str, Any]) -> str:
    """What who asked has to know."""
    return one_line(
        f"request {waiting['number']} waits, nothing has changed yet: another user who may do this confirms it with "
        f"station confirm {waiting['number']}"
    )


def show_waiting(options: argparse.Namespace, reply: Mapping[str, Any]) -> int:
    """After a request that needs two people."""
    waiting = reply.get("waiting")
    if waiting is None:
        return complain("the station did it at once: its [access] second_person is another; restart it, see its log")
    show(options, {"waiting": waiting}, waits(waiting))
    return 0


def _list(options: argparse.Namespace, reply: Mapping[str, Any]) -> int:
    rules, waiting = reply["rules"], reply["waiting"]
    lines = [line for one in waiting for line in in_words(one)]
    nothing = f"nothing waits; two people are needed for: {', '.join(rules) or 'nothing'}"
    show(options, {"rules": rules, "waiting": waiting}, *(lines or [nothing]))
    return 0


def in_words(one: Mapping[str, Any]) -> list[str]:
    """A request that waits, with every value that would change; what others wrote stays text."""
    where = "in a shell" if one["via"] == "shell" else "on the pages: confirm it there"
    first = f"{one['number']}: asked by {one['asked_by']} {where}; why: {one['why'] or 'not said'}"
    return [one_line(first), *(f"    {one_line(line)}" for line in str(one["what"]).split("; "))]


def _is_sure(options: argparse.Namespace, one: Mapping[str, Any]) -> bool:
    if options.yes or options.json or not sys.stdin.isatty():
        return True
    return input("\n".join([*in_words(one), "do it? [y/N] "])).strip().lower() in ("y", "yes")
