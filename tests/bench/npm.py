"""Packages from npm, for tests: other people's programs that check what a station writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.bench.programs import require_program

INSTALL_S = 120


def npm_packages(folder: Path, *packages: str) -> Path:
    """Installs them (`name@version`) into `folder`; its `node_modules`. No script of a package runs at installation.

    Skips the calling test without npm or without a network.
    """
    npm = require_program("npm")
    # Without `--prefix` npm takes the next folder above that already has packages.
    install = [npm, "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
    install += ["--prefer-offline", *packages]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not get {' '.join(packages)} within {INSTALL_S} s: no network?")
    if done.returncode:
        pytest.skip(f"npm cannot get {' '.join(packages)}: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules"
