"""station.toml as a file, before its values are checked: reading it, what is wrong with it, where the station listens.

Loads no pydantic: a command that only asks the running station needs nothing but the control socket, and works as well
while the file is half edited.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from engines.text_file import text_of

DEFAULT_WORK_DIR = "work"
CONTROL_SOCKET = "control.sock"
"""In the work folder."""


class ConfigurationError(Exception):
    """The file cannot be used. `problems` holds one line per thing that is wrong."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


def read_toml(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a TOML file and its content. Raises ConfigurationError."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as problem:
        raise ConfigurationError(path, ["no such file; name it with --config FILE or $STATION_CONFIG"]) from problem
    except OSError as problem:
        raise ConfigurationError(path, [f"cannot be read: {problem.strerror}"]) from problem
    return raw, parsed(path, raw)


def parsed(path: Path, raw: bytes) -> dict[str, Any]:
    """The content of a TOML file with these bytes. Raises ConfigurationError."""
    try:
        content: dict[str, Any] = tomllib.loads(text_of(raw))
    except UnicodeDecodeError as problem:
        raise ConfigurationError(path, [f"is not valid TOML: {problem}; save it as UTF-8"]) from problem
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(path, [f"is not valid TOML: {problem}"]) from problem
    except RecursionError as problem:
        raise ConfigurationError(path, ["is not valid TOML: brackets or tables too deep in each other"]) from problem
    return content


def resolved(path: Path, file: Path) -> Path:
    """Paths in a configuration file are relative to the file."""
    return path if path.is_absolute() else (file.resolve().parent / path).resolve()


def control_socket_of(file: Path) -> Path:
    """The control socket of the station that runs with this file. Raises ConfigurationError."""
    _, data = read_toml(file)
    section = data.get("station", {})
    work_dir = section.get("work_dir", DEFAULT_WORK_DIR) if isinstance(section, dict) else None
    if not isinstance(work_dir, str):
        raise ConfigurationError(file, [f"[station] work_dir = {work_dir!r}: must be the path of a folder"])
    return resolved(Path(work_dir), file) / CONTROL_SOCKET
