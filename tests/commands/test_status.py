"""The table of `station status`."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from station.codes import ErrorCode, OfflineReason, WarningCode
from station.commands.daemon import status_table
from station.line.challenge.messages import ChallengeStatus
from station.line.handshake.messages import StationState
from station.line.recording.messages import RecorderHealth
from station.line.signalling.ledger import Counters
from station.line.signalling.snapshot import Snapshot, readable
from station.terminal import console

SNAPSHOT = Snapshot(
    state=StationState.READY,
    online=True,
    ready=True,
    offline_reason=OfflineReason.NONE,
    error_code=ErrorCode.NONE,
    error_detail="",
    warnings=(),
    cameras={},
    engine_id="",
    recipe="default",
    recipe_number=0,
    recipe_checksum="",
    config_checksum="",
    counters=Counters(),
    in_flight=0,
    drained=True,
    challenge=ChallengeStatus(),
    recent=(),
)


IDLE = {"plan": {"phase": "idle"}, "teaching": {"phase": "idle"}}
OWN = {
    **{"runtime": "", "refused": "", "refused_ago_s": None, **IDLE},
    "records": asdict(RecorderHealth(False, WarningCode.RECORDS_DELAYED, 12, 7.0, 3, 0, "the disk does not answer")),
}


def shown_of(snapshot: Snapshot, **own: object) -> str:
    shown_on = console(width=200)
    with shown_on.capture() as capture:
        shown_on.print(status_table({**readable(snapshot), **OWN, **own}))
    return capture.get()


WAITS = replace(SNAPSHOT, ready=False, waits_for="TriggerEnable of the PLC is 0")
OFF = replace(SNAPSHOT, ready=False, online=False, state=StationState.INITIALIZED)


@pytest.mark.parametrize(
    ("snapshot", "shown"),
    [
        (replace(SNAPSHOT, state=StationState.CONTINUOUS_EXECUTION), "ready for the next part"),
        (SNAPSHOT, "the disk does not answer; 12 wait, 3 lost"),
        (WAITS, "on line, not ready: TriggerEnable of the PLC is 0"),
        (WAITS, "state ready (OPC 40100-1), TriggerReady 0"),
        (replace(OFF, offline_reason=OfflineReason.BY_OPERATOR), "off line: set offline by a person"),
        (replace(OFF, offline_reason=OfflineReason.CAMERA_DOWN), "check power and cable of the camera"),
        (
            replace(OFF, online=True, offline_reason=OfflineReason.CHANGING_RECIPE),
            "takes no part now: another recipe is being loaded; those in flight finish",
        ),
    ],
)
def test_it_says_why_no_part_is_taken(snapshot: Snapshot, shown: str) -> None:
    assert shown in shown_of(snapshot)


def test_nothing_says_ready_and_not_ready() -> None:
    """It said "ready, not ready": the state of OPC 40100-1 and TriggerReady, both as ready."""
    for snapshot in (SNAPSHOT, WAITS, replace(OFF, offline_reason=OfflineReason.FAULT)):
        (line,) = [line for line in shown_of(snapshot).splitlines() if " state " in line and "OPC" not in line]
        assert line.count("ready") <= 1
        assert ("not ready" in line) <= (not snapshot.ready)


def test_a_refusal_has_its_age() -> None:
    assert "refused" not in shown_of(SNAPSHOT)
    assert "recipe 3, asked by plc: why, 12 min ago" in shown_of(
        SNAPSHOT, refused="recipe 3, asked by plc: why", refused_ago_s=730.0
    )
