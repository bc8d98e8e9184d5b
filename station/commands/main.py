"""The command `station`: finds the module of the command that was asked for, and imports no other.

`COMMANDS` is the one table of commands with their modules and help lines; a command that only asks the running station
reads nothing of the configuration but where it listens.

Exit codes: 0 done; 1 the work was done and what it found is bad; 2 bad input, reported on standard error;
3 a stage failed; 4 the engine hangs; 5 the GPU failed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from types import FrameType
from typing import Any, NoReturn

from station import __version__
from station.background import give_way
from station.terminal import plain

EXIT_INTERRUPTED = 130
EXIT_READER_GONE = 141
"""As a shell reports SIGPIPE."""

COMMANDS = {
    "run": ("daemon", "run the station until it is stopped (SIGTERM)"),
    "status": ("daemon", "show the state of a running station"),
    "online": ("daemon", "take the station on line"),
    "offline": ("daemon", "take the station off line: every part is Reject"),
    "monitoring": ("daemon", "watching for drift: show what is normal and what has changed, learn again"),
    "clear": ("daemon", "clear a fault after its cause has been fixed"),
    "reload": ("daemon", "take up the changed configuration without a restart"),
    "confirm": ("confirm", "what waits for a second person: list, confirm, withdraw"),
    "check": ("check", "check configuration, camera, engine, PLC link and disk"),
    "challenge": ("challenge", "the test with master parts: start, confirm, status, history, reset, virtual"),
    "msa": ("msa", "attribute agreement studies: plan, run, enter, report, list"),
    "process": ("process", "process values over Modbus: read them, how they stand, rejects with them"),
    "trends": ("trends", "what wears out, when it reaches its limit, and what to do about it"),
    "parts": ("records.parts", "list parts on record, by time, verdict, recipe, reason"),
    "counts": ("records.parts", "count parts by shift, hour, recipe, reason or engine"),
    "show": ("records.show", "show a part: pictures, heat map, regions, limits, reasons"),
    "report": (
        "records.report",
        "what a shift or a period was worth, with every figure's interval: page, PDF, CSV, Parquet",
    ),
    "what-if": ("records.what_if", "what other limits would have made of stored parts, before anybody sets them"),
    "sheet": ("records.show", "draw many parts side by side: the contact sheet of a selection"),
    "label": ("records.label", "say what a part was: good or defective, and of which class"),
    "classes": ("records.classes", "kinds of defects: list, set (severity, colour, number), pareto"),
    "quarantine": ("records.keeping", "parts kept as evidence: list, keep, release"),
    "evidence": ("records.keeping", "everything that is known of a part in one file, with checksums"),
    "backup": ("records.backup", "configuration, engines, records and labels in one file, while it runs"),
    "restore": ("records.backup", "bring a backup back; the station must be stopped"),
    "support-bundle": ("records.backup", "log, configuration, versions and records of an hour in one file"),
    "trace": ("records.trace", "show every step of one part with its time"),
    "teach": ("engines.teach", "train an engine from a folder of images or from the live line"),
    "batch": ("records.batch", "batches: begin, end, list"),
    "recipe": ("recipe", "recipes: list, show, check, select"),
    "audit": ("records.changes", "who changed recipe, engine or configuration, and with what result"),
    "config": ("records.changes", "configurations and recipes that were ever active: list, show, diff"),
    "refresh": ("engines.refresh", "make a candidate engine from recent parts"),
    "engine": (
        "engines.engine",
        "the engine store: list, show, verify, activate, roll back, carry over, build for a GPU",
    ),
    "evaluate": ("engines.evaluate", "measure detectors and refinements on data sets with known truth"),
    "camera": ("camera", "find cameras and look through them"),
    "plc": ("plc", "tools for integrators: watch and test the link to the PLC"),
    "hmi": ("people.hmi", "serve the pages for people until it is stopped"),
    "user": ("people.user", "who has an account on the pages, and which programs have a token"),
    "plant": ("northbound.plant", "send results to the plant: run, status, test, resend"),
    "fleet": (
        "northbound.fleet",
        "many stations: their database, the channel of engines, refresh in one place, sums",
    ),
    "demo": ("demo", "run the whole station on a simulated line"),
    "completion": ("main", "print what completes `station` in a shell: bash or zsh"),
}
"""Name: module in `station.commands`, and the line in `station --help`, which the module's own parser repeats."""


class _Parser(argparse.ArgumentParser):
    """Refuses what it does not know itself, so that the usage shown is that of the command and not of `station`, and
    says what was probably meant.
    """

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = [word.partition("=")[0] for word in unknown if word.startswith("--")]
            hints = [hint for word in options if (hint := _did_you_mean(word, self._option_string_actions))]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{''.join(hints)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        super().error(plain(message))  # it repeats what was typed, control characters and all

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            said = f'no "{value}"{_did_you_mean(str(value), known)}; there are: {", ".join(known)}'
            raise argparse.ArgumentError(action, said)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean "status"?`, or empty."""
    similar = get_close_matches(word, list(known), 1)
    return f', did you mean "{similar[0]}"?' if similar else ""


def build_parser(only: Collection[str] | None = None) -> argparse.ArgumentParser:
    """The parser of `station`.

    Args:
        only: the commands that are to be parsed; of the others it knows only the help line. None: all of them.
    """
    parser = _Parser(
        prog="station", description="Edge inspection station: decides, part by part, PASS, FAIL or REVIEW."
    )
    parser.add_argument("--version", action="version", version=f"station {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    loaded = {module for name, (module, _) in COMMANDS.items() if only is None or name in only}
    for name, (module, text) in COMMANDS.items():
        if module not in loaded:
            commands.add_parser(name, help=text, add_help=False)
        elif name not in commands.choices:  # a module may add several
            importlib.import_module(f"station.commands.{module}").add_parser(commands)
    return parser


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `completion`."""
    parser = commands.add_parser(
        "completion",
        help="print what completes `station` in a shell: bash or zsh",
        epilog="bash: station completion bash > ~/.local/share/bash-completion/completions/station; "
        "zsh: station completion zsh > DIR/_station, with DIR in $fpath",
    )
    parser.add_argument("shell", choices=("bash", "zsh"))
    parser.set_defaults(run=complete)


def complete(options: argparse.Namespace) -> int:
    """Prints a script for the shell that completes commands, options and files of configurations."""
    import shtab  # noqa: PLC0415  every command imports this module

    print(shtab.complete(build_parser(), options.shell))  # noqa: T201
    return 0


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM before anything has begun is a stop in order, not a death by a signal."""
    os._exit(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Every command sets `run`, which takes the parsed options and returns the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    command = next((word for word in words if not word.startswith("-")), "")
    is_own_process = arguments is None
    if command == "run" and is_own_process:
        # Until the daemon listens itself: its imports alone take seconds on a busy computer, and nothing is open yet.
        signal.signal(signal.SIGTERM, _end_at_once)
    parser = build_parser([command])
    if command and command not in COMMANDS:
        hint = _did_you_mean(command, COMMANDS)
        parser.error(f'no command "{command}"{hint}; there are: {", ".join(COMMANDS)}')
    try:
        try:
            options = parser.parse_args(words)
            options.is_own_process = is_own_process
            if is_own_process and getattr(options, "gives_way", False):  # for ever
                give_way()
            code: int = options.run(options)
        finally:
            sys.stdout.flush()  # also of `--help`, which ends by SystemExit
    except BrokenPipeError:
        # Whoever read the output has seen enough. What is still buffered goes nowhere, also at the end of Python.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return EXIT_READER_GONE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
