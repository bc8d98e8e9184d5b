"""Processor time of the short commands: what a person or a script pays before anything is done.

    python benchmarks/command_start.py [--repeat 5] [--json FILE]

User and system time of a process for each command, the lowest of a few runs: other load only adds to it. The goal is
0.4 s for `station --help` and `station status`; which modules they may load is held by tests/commands/test_main.py.
`station status` runs without a station: reading the configuration is nearly all of its work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from station.simulation.parts.pictures import Canvas
from station.simulation.run.workspace import configuration

GOAL_S = 0.4
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "station --help": ("-m", "station", "--help"),
    "station status": ("-m", "station", "status"),
    "station offline": ("-m", "station", "offline"),
    "station parts": ("-m", "station", "parts"),
    "station counts": ("-m", "station", "counts"),
    "station show": ("-m", "station", "show", "1"),
    "station trace": ("-m", "station", "trace", "1"),
    "station engine list": ("-m", "station", "engine", "list"),
    "station check": ("-m", "station", "check"),
}


def processor_time_s(arguments: tuple[str, ...], folder: Path) -> float:
    """User and system time of one run; its exit code does not matter."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each command; default: %(default)s")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = configuration(Canvas(64, 64, 1), folder / "engine", 1502, trigger="line")
        (folder / "station.toml").write_text(text, encoding="utf-8")
        figures = {
            command: round(min(processor_time_s(arguments, folder) for _ in range(options.repeat)), 3)
            for command, arguments in COMMANDS.items()
        }
    for command, seconds in figures.items():
        print(f"{command:20} {seconds:6.3f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0 if max(figures["station --help"], figures["station status"]) <= GOAL_S else 1


if __name__ == "__main__":
    sys.exit(main())
