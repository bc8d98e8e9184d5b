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


@pytest.mark.parametrize(
    ("snapshot", "shown"),
    [
        (SNAPSHOT, "ready, ready"),
        (SNAPSHOT, "the disk does not answer; 12 wait, 3 lost"),
        (replace(SNAPSHOT, ready=False), "ready, not ready: on line, but the PLC has not set TriggerEnable"),
        (replace(SNAPSHOT, ready=False, online=False, offline_reason=OfflineReason.BY_OPERATOR), "by a person"),
    ],
)
def test_it_says_why_no_part_is_taken(snapshot: Snapshot, shown: str) -> None:
    health = RecorderHealth(False, WarningCode.RECORDS_DELAYED, 12, 7.0, 3, 0, "the disk does not answer")
    daemons_own = {
        **{"runtime": "", "plan": {"phase": "idle"}, "refused": "", "teaching": {"phase": "idle"}},
        "records": asdict(health),
    }
    shown_on = console(width=200)
    with shown_on.capture() as capture:
        shown_on.print(status_table({**readable(snapshot), **daemons_own}))
    assert shown in capture.get()
