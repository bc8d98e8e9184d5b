"""What commands share: `--config`, the way bad input is reported, one request to the running station.

Loads nothing but the standard library and what does likewise, since every command imports it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from station.configuration.file import control_socket_of
from station.control import request
from station.terminal import say

if TYPE_CHECKING:
    from station.reports.shifts import Calendar

EXIT_BAD_INPUT = 2
RELOAD_TIMEOUT_S = 90.0
CONFIG_VARIABLE = "STATION_CONFIG"
CONFIG_PLACES = (Path("station.toml"), Path("/etc/station/station.toml"))


class BadInput(Exception):
    """An option cannot be used; the message says which values are allowed. Nothing was started."""


def default_config() -> Path:
    """The configuration when none is named: that of $STATION_CONFIG, else the first of `CONFIG_PLACES` that is there.

    A file that this user may not read is the one that is meant: the command then says so.
    """
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    return next((place for place in CONFIG_PLACES if not is_missing(place)), CONFIG_PLACES[0])


def is_missing(path: Path) -> bool:
    """No such file or folder. One that may not be read is not missing."""
    try:
        path.stat()
    except OSError as problem:
        return isinstance(problem, FileNotFoundError | NotADirectoryError)
    return False


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`, the same everywhere."""
    places = ", ".join([f"${CONFIG_VARIABLE}", *map(str, CONFIG_PLACES)])
    option = parser.add_argument(
        "--config",
        type=Path,
        default=default_config(),
        metavar="FILE",
        help=f"default: the first there is of {places}",
    )
    # Read by shtab, which `station completion` uses: files complete it.
    vars(option)["complete"] = {"bash": "_shtab_compgen_files", "zsh": "_files"}


def calendar_at(config: Path) -> Calendar:
    """The clock beside the station of this configuration; that of this computer where there is none that can be read:
    a broken file takes no command away that does without it.
    """
    from station.configuration.load import ConfigurationError, load_station  # noqa: PLC0415
    from station.reports.shifts import Calendar, calendar_of  # noqa: PLC0415

    try:
        return calendar_of(load_station(config).settings.station)
    except ConfigurationError:
        return Calendar()


def add_json_option(parser: argparse._ActionsContainer, holds: str) -> None:
    """`--json`: one document of JSON on standard output, and nothing else there. `holds`: its keys, for `--help` and
    docs/commands.md; what stands behind a semicolon is there in some cases only.
    """
    parser.add_argument("--json", action="store_true", help=f"as JSON: {holds}")


def print_json(value: object) -> None:
    """The one way to JSON on standard output. Text of others is escaped; a number that is none is null."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False).replace("\x7f", "\\u007f"))  # noqa: T201


def show(options: argparse.Namespace, as_json: object, *lines: str) -> None:
    """What a command has done: JSON where `--json` asks for it, else these lines."""
    if options.json:
        print_json(as_json)
    for line in () if options.json else lines:
        say(line)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def positive(text: str) -> int:
    """Type of an option that counts something. Raises argparse.ArgumentTypeError."""
    try:
        count = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is not at least 1")
    return count


def complain(problem: object) -> int:
    """Reports bad input on standard error and returns the exit code for it."""
    say(f"station: {problem}", error=True)
    return EXIT_BAD_INPUT


def reporting(
    run: Callable[[argparse.Namespace], int], *problems: type[Exception]
) -> Callable[[argparse.Namespace], int]:
    """The command, with exit code 2 and a sentence for these problems, which a person can set right."""

    def run_reporting(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except problems as problem:
            return complain(problem)

    return run_reporting


def ask(config_path: Path, message: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """One request to the station of this configuration. Raises ConfigurationError or ControlError."""
    return request(control_socket_of(config_path), message, timeout_s)
