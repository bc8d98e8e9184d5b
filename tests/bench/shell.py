"""Commands of the station as a person types them."""

from __future__ import annotations

import subprocess
import sys


def station(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """`station ...` as a process of its own, to its end."""
    command = [sys.executable, "-m", "station", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
