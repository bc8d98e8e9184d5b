"""`station plant run` as a process, and commands about it: what tests of its connectors share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from station.commands.main import main
from tests.bench.places import ROOT


def started(config: Path, where: str) -> subprocess.Popen[str]:
    """Its first line stands, and begins with where results go to."""
    process = subprocess.Popen(
        [sys.executable, "-m", "station", "plant", "run", "--config", str(config)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith(f"plant: results go to {where}")
    return process


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """By this signal: the exit code and the log."""
    os.kill(process.pid, number)
    _, log = process.communicate(timeout=60)
    return process.returncode, log


def said(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """A command with `--json`: its exit code, and what it printed (what went wrong where it printed nothing)."""
    capsys.readouterr()
    code = main([*words, "--json", "--config", str(config)])
    output = capsys.readouterr()
    return code, json.loads(output.out) if output.out else output.err
