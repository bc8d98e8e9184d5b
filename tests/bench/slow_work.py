"""A work of the pages that goes on until the test lets it: in place of a command of the station."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from station.hmi import work

_PROGRAM = """
import json, pathlib, sys, time
print("a library says something")
print(json.dumps({"step": "parts", "done": 5, "total": 20}), flush=True)
gate = pathlib.Path(sys.argv[1])
while not gate.exists():
    time.sleep(0.02)
said = gate.read_text()
if said.startswith("fail"):
    print("station: " + said, file=sys.stderr)
    raise SystemExit(2)
print(json.dumps({"event": "done", "report": "of_a_test", "failed": [said] if said else []}), flush=True)
"""


@dataclass(frozen=True)
class Gate:
    """Opened by the test; what is said is what the work ends with."""

    file: Path

    def open(self, said: str = "") -> None:
        temporary = self.file.with_suffix(".new")
        temporary.write_text(said)
        temporary.replace(self.file)


def slow_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Every work from now on waits at the gate."""
    gate = Gate(folder / "gate")
    monkeypatch.setattr(work, "python_command", lambda *_: [sys.executable, "-c", _PROGRAM, str(gate.file)])
    return gate
