"""Records on a medium that nobody may write to: `trace` and `audit` read them all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.places import ROOT
from tests.line.recording.full_disk import MAKE
from tests.line.recording.recording_bench import recording
from tests.line.recording.test_full_disk import NAMESPACE

pytestmark = pytest.mark.system

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
CONFIG = '[cameras.top]\nproducer = "simtl"\n[station]\nwork_dir = "work"\n'


def on_read_only_medium(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = f'{READ_ONLY} && exec "$@"'
    program = [sys.executable, "-m", "station", *command, "--config", str(folder / "station.toml")]
    return subprocess.run(
        [*NAMESPACE, "sh", "-c", script, str(folder), *program], capture_output=True, text=True, cwd=ROOT
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A station's folder, with records of a station that has stopped."""
    try:
        probe = subprocess.run([*NAMESPACE, "sh", "-c", READ_ONLY, str(tmp_path)], capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if probe.returncode:
        pytest.skip("needs root or user namespaces to mount a read-only folder")
    (tmp_path / "station.toml").write_text(CONFIG)
    with recording(tmp_path / "work" / "records") as recorder:
        recorder.record(MAKE.without_frame(7))
    return tmp_path


def test_trace_and_audit_of_a_stopped_station(folder: Path) -> None:
    traced = on_read_only_medium(folder, "trace", "1007", "--json")
    assert traced.returncode == 0, traced.stderr
    assert '"acquisition_id": 7' in traced.stdout
    assert on_read_only_medium(folder, "audit").returncode == 0


def test_rows_that_cannot_be_read_there_are_not_passed_over(folder: Path) -> None:
    """The write-ahead log of a station that was killed, on a medium where SQLite cannot read it."""
    (folder / "work" / "records" / "records.db-wal").write_bytes(b"x" * 4096)
    traced = on_read_only_medium(folder, "trace", "1007", "--json")
    assert traced.returncode == 2
    assert "copy the folder to where you may write" in traced.stderr
