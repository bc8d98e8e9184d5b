"""Real wheels of NVIDIA from PyPI, each in a folder of its own, kept for the next run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TIMEOUT_S = 280


def cache_folder() -> Path:
    """In the user's cache: several hundred megabytes that need not be fetched again."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "station" / "wheels"


def installed(*requirements: str) -> Path:
    """A folder for PYTHONPATH with these packages (`name==version`), installed whole or not at all.

    Fails when they cannot be had: what would be checked with them stays unchecked.
    """
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    folder = cache_folder() / "-".join([python, *requirements]).replace("==", "-")
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as temporary:
        target = Path(temporary) / "site"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--no-cache-dir", "--target", str(target), *requirements]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, f"{' '.join(requirements)} cannot be installed: {done.stderr}"
        try:
            target.rename(folder)
        except OSError:  # another run was faster
            shutil.rmtree(target, ignore_errors=True)
    assert folder.is_dir()
    return folder
