"""Programs of others that a few tests want, and the Debian packages they come in.

A test whose program is missing is skipped with a reason of one form, which the closing line of a run counts
(`tests/conftest.py`).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

PACKAGES = {
    "openssl": "openssl",
    "cc": "gcc",
    "chromium": "chromium",
    "initdb": "postgresql",
    "mbpoll": "mbpoll",
    "minisign": "minisign",
    "mosquitto": "mosquitto",
    "node": "nodejs",
    "npm": "npm",
    "pkg-config": "pkg-config",
    "shellcheck": "shellcheck",
    "systemd-analyze": "systemd",
    "systemd-sysusers": "systemd",
    "valgrind": "valgrind",
}


def not_installed(*packages: str) -> str:
    """The reason for a skip; `packages` are those of Debian."""
    return f"not installed (Debian: apt install {' '.join(packages)})"


def packages_of(reason: str) -> list[str]:
    """The packages that a reason names; none when a test was skipped for something else."""
    found = re.search(r"Debian: apt install ([^)]+)", reason)
    return found.group(1).split() if found else []


def needs_program(name: str) -> pytest.MarkDecorator:
    """Skips a test where the program is missing."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is {not_installed(PACKAGES[name])}")


def require_program(name: str) -> str:
    """The path of a program. Skips the calling test where it is missing."""
    path = shutil.which(name) or _beside_the_path(name)
    if path is None:
        pytest.skip(f"{name} is {not_installed(PACKAGES[name])}")
    return path


def _beside_the_path(name: str) -> str | None:
    """Debian keeps every version of PostgreSQL in a folder of its own."""
    return max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None)
