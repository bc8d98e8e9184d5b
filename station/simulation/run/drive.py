"""Feeds the parts of a schedule to a running station that is known by its map alone, and closes the books."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from station.codes import OFFLINE_REASONS, OfflineReason
from station.command_results import COMMAND_RESULTS, CommandResult
from station.commissioning.plc_client import LinkError, Refused
from station.commissioning.plc_monitor import Reader
from station.line.handshake.messages import StationState
from station.simulation.accounts.books import COUNTERS, Books, settle
from station.simulation.parts.schedule import LineSchedule
from station.simulation.plant.belt import PITCH_COUNTS
from station.simulation.run.processes import LineProcess

POLL_S = 0.2
STALLED_S = 30.0
READ_S = 10.0
"""How long the station may take to have a result for every part, or may not be readable meanwhile."""


class RunFailed(Exception):
    """The run could not be brought to its end."""


def drive(
    line: LineProcess, schedule: LineSchedule, reader: Reader, *, wait_s: float, show: Callable[[str], object]
) -> Books:
    """Feeds all parts of the schedule and closes the books. Raises RunFailed, ProcessEnded."""
    _wait_for_ready(line, reader, wait_s, show)
    before = _counters(_settled(reader))
    serials = {part.serial for part in schedule.parts}
    quiet_s = STALLED_S + schedule.transit_s + PITCH_COUNTS / schedule.rate_per_s / 1000
    show(f"{len(schedule.parts)} parts at {schedule.rate_per_s:g} parts/s")
    line.feed(len(schedule.parts))
    shown_s = time.monotonic()
    while not (serials <= line.state.ends.keys() and serials <= line.state.judgements.keys()):
        line.check()
        _check_batch(line, schedule)
        now_s = time.monotonic()
        if now_s - line.state.last_event_s > quiet_s:
            raise RunFailed(f"nothing has moved on the line for {quiet_s:.0f} s; see its log in --work")
        if now_s - shown_s > STALLED_S / 3:
            shown_s = now_s
            show(f"{len(line.state.ends)} of {len(serials)} parts have left the belt")
        time.sleep(POLL_S)
    end_s = time.monotonic() + READ_S
    while schedule.batch and not line.state.batch_ended:
        line.check()
        _check_batch(line, schedule)
        if time.monotonic() > end_s:
            raise RunFailed(f'batch "{schedule.batch}" was not ended within {READ_S:g} s')
        time.sleep(POLL_S)
    after = _counters(_settled(reader))
    counted = {name: (after[name] - before[name]) % (1 << 32) for name in COUNTERS}
    return settle(schedule.parts, line.state, counted, schedule.trigger)


def _check_batch(line: LineProcess, schedule: LineSchedule) -> None:
    """Raises RunFailed: the station refused the batch, and says why by its code."""
    if code := line.state.batch_refused:
        text = COMMAND_RESULTS[CommandResult(code)] if code in set(CommandResult) else None
        why = f"code {code}" if text is None else f"{text.text}; {text.action}"
        raise RunFailed(f'the station refused batch "{schedule.batch}": {why}')


def _wait_for_ready(line: LineProcess, reader: Reader, wait_s: float, show: Callable[[str], object]) -> None:
    show("waiting for TriggerReady")
    end_s = time.monotonic() + wait_s
    while not line.state.trigger_ready:
        line.check()
        if time.monotonic() > end_s:
            raise RunFailed(f"no TriggerReady within {wait_s:g} s: {_why_not_ready(reader)}")
        time.sleep(POLL_S)


def _why_not_ready(reader: Reader) -> str:
    try:
        values = _read(reader)
    except (LinkError, Refused) as problem:
        return str(problem)
    state, reason = StationState(int(values["state"])), OfflineReason(int(values["offline_reason"]))
    why = OFFLINE_REASONS[reason]
    action = f"; {why.action}" if why.action else ""
    return f"the station is {state.name.lower()}, {why.text}{action}"


def _settled(reader: Reader) -> dict[str, Any]:
    """The map when no part is between trigger and result. Raises RunFailed."""
    end_s = time.monotonic() + READ_S
    trouble = "Busy stays 1"
    while time.monotonic() < end_s:
        try:
            if not _read(reader)["busy"]:
                return _read(reader)
        except (LinkError, Refused) as problem:
            trouble = str(problem)
        time.sleep(POLL_S)
    raise RunFailed(f"the counters of the station could not be read for {READ_S:g} s: {trouble}")


def _read(reader: Reader) -> dict[str, Any]:
    reader.read(time.time())
    return {point.attribute: value for point, value in reader.values.items()}


def _counters(values: dict[str, Any]) -> dict[str, int]:
    return {name: int(values[f"count_{name}"]) for name in COUNTERS}
