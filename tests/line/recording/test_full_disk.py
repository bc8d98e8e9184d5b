"""A full disk degrades and recovers: real ones, in a mount namespace of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

NAMESPACE = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
MOUNT = 'mount -t tmpfs -o size=3m none "$0"'


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def can_mount(directory: Path) -> bool:
    try:
        return subprocess.run([*NAMESPACE, "sh", "-c", MOUNT, str(directory)], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("scenario", ["filled", "full-at-start"])
def test_disk_that_is_really_full(tmp_path: Path, scenario: str) -> None:
    if not can_mount(tmp_path):
        pytest.skip("needs a small tmpfs: neither root nor user namespaces (unshare -Urm) are allowed here")
    script = f'{MOUNT} && exec "$@"'
    program = [sys.executable, "-m", "tests.line.recording.full_disk", str(tmp_path), scenario]
    run([*NAMESPACE, "sh", "-c", script, str(tmp_path), *program])


def test_files_that_cannot_grow(tmp_path: Path) -> None:
    run([sys.executable, "-m", "tests.line.recording.full_disk", str(tmp_path), "file-limit"])
