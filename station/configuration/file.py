"""station.toml as a file, before its values are checked: reading it, what is wrong with it, where the station listens.

Loads no pydantic: a command that only asks the running station needs nothing but the control socket, and works as well
while the file is half edited.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from engines.text_file import text_of

DEFAULT_WORK_DIR = "work"
_MOST_TRIED = 50
"""Lines before a mistake in which it may have begun: a string or a list over several lines."""
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
    return work_dir_of(file) / CONTROL_SOCKET


def work_dir_of(file: Path) -> Path:
    """The work folder of the station of this file, whatever else is wrong with it. Raises ConfigurationError."""
    section = station_section_of(file)
    work_dir = section.get("work_dir", DEFAULT_WORK_DIR) if isinstance(section, dict) else None
    if not isinstance(work_dir, str):
        raise ConfigurationError(file, [f"[station] work_dir = {work_dir!r}: must be the path of a folder"])
    return resolved(Path(work_dir), file)


def station_section_of(file: Path) -> Any:
    """What stands under [station], unchecked; also of a file that is no TOML behind it. Raises ConfigurationError."""
    try:
        return read_toml(file)[1].get("station", {})
    except ConfigurationError:
        data = _before_the_mistake(file)
        section = data.get("station")
        is_whole = isinstance(section, dict) and ("work_dir" in section or list(data)[-1] != "station")
        if not is_whole:
            raise
        return section


def _before_the_mistake(file: Path) -> dict[str, Any]:
    """What the lines before the one that is no TOML say; nothing where that cannot be found out."""
    try:
        raw = file.read_bytes()
    except OSError:
        return {}
    try:
        text = text_of(raw)
    except UnicodeDecodeError:  # of an editor with another encoding: most of the file is ASCII all the same
        text = raw.decode("utf-8", "replace")
    try:
        whole: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        found = re.search(r"at line (\d+)", str(problem))
    except RecursionError:
        return {}
    else:
        return whole
    lines = text.splitlines(keepends=True)
    last = len(lines) if found is None else int(found[1]) - 1
    for count in range(last, max(last - _MOST_TRIED, 0), -1):
        try:
            whole = tomllib.loads("".join(lines[:count]))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
        return whole
    return {}
