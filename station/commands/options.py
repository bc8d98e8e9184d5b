"""What commands share: `--config`, the way bad input is reported, one request to the running station.

Loads nothing but the standard library and what does likewise, since every command imports it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from station.configuration.file import control_socket_of
from station.control import request

EXIT_BAD_INPUT = 2
RELOAD_TIMEOUT_S = 90.0
DEFAULT_CONFIG = Path("station.toml")


class BadInput(Exception):
    """An option cannot be used; the message says which values are allowed. Nothing was started."""


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`, the same everywhere."""
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s")


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
    print(f"station: {problem}", file=sys.stderr)  # noqa: T201
    return EXIT_BAD_INPUT


def ask(config_path: Path, message: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """One request to the station of this configuration. Raises ConfigurationError or ControlError."""
    return request(control_socket_of(config_path), message, timeout_s)
