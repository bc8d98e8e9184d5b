"""The command `station`. Each subcommand lives in the module that does the work; here they are only named.

Exit codes: 0 done; 1 the work was done and what it found is bad; 2 bad input, told on standard error;
3 a stage failed; 4 the engine hangs; 5 the GPU failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from station import __version__
from station.commands import camera as camera_tools
from station.commands import challenge as challenge_tools
from station.commands import check, demo
from station.commands import daemon as station_tools
from station.commands import engine as engine_tools
from station.commands import evaluate as evaluate_tools
from station.commands import plc as plc_tools
from station.commands import recipe as recipe_tools
from station.commands import refresh as refresh_tools
from station.commands import teach as teach_tools
from station.commands import trace as trace_tools

EXIT_INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """All subcommands with their options."""
    parser = argparse.ArgumentParser(
        prog="station", description="Edge inspection station: decides, part by part, PASS, FAIL or REVIEW."
    )
    parser.add_argument("--version", action="version", version=f"station {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    modules = (
        station_tools,
        check,
        challenge_tools,
        trace_tools,
        teach_tools,
        recipe_tools,
        refresh_tools,
        engine_tools,
        evaluate_tools,
        camera_tools,
        plc_tools,
        demo,
    )
    for module in modules:
        module.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Every subcommand sets `run`, which takes the parsed options and returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED
    return code


if __name__ == "__main__":
    sys.exit(main())
