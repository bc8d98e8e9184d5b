"""The state of the station as the PLC reads it, and as people do: gathered from its owners, never changed here.

`refresh` runs after every message, every tick, and within a part where the PLC must know at once (TriggerAck, result).
"""

from __future__ import annotations

from functools import lru_cache

from drivers.plc.protocol import PlcOutputs
from station import noted
from station.codes import DRIFT_WARNINGS, OfflineReason, WarningCode
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import ResultsWithdrawn, StationStatus
from station.line.signalling.desk import Desk
from station.line.signalling.snapshot import RecentPart, Snapshot
from station.results import Verdict


class StatusBlock:
    """Owns what was published last. Called by the signalling thread; reads the desk, decides nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._published: PlcOutputs | None = None

    def refresh(self, now: int) -> None:
        """Hands the state to the handshake, and publishes its outputs when they have changed."""
        handshake = self._desk.handshake
        for withdrawn in handshake.station_changed(self._status(), now):
            self.withdrawn(withdrawn)
        handshake.counted(self._desk.ledger.counters)
        outputs = handshake.outputs()
        if outputs != self._published:
            self._published = outputs
            self._desk.ports.publish(outputs)

    def withdrawn(self, request: ResultsWithdrawn) -> None:
        """Logs results that the PLC will not see any more, and passes that on to the tracking."""
        ports = self._desk.ports
        ids = ", ".join(str(acquisition_id) for acquisition_id in request.acquisition_ids)
        ports.event("results_withdrawn", "warning", noted.WITHDRAWN(counts=ids))
        ports.tracking.withdrawn(request.acquisition_ids, self._desk.handshake.refusal(Verdict.PASS))

    def snapshot(self, recent: tuple[RecentPart, ...]) -> Snapshot:
        """For people."""
        desk = self._desk
        condition = desk.condition
        identity = desk.in_force.identity
        frozen = () if desk.handshake.plc_alive else (WarningCode.PLC_HEARTBEAT_FROZEN,)
        return Snapshot(
            state=condition.state(enabled=desk.handshake.enabled),
            online=condition.may_signal,
            ready=desk.handshake.ready,
            offline_reason=condition.why_offline,
            error_code=condition.fault,
            error_detail=condition.fault_detail,
            warnings=(*frozen, *condition.warnings),
            cameras=dict(condition.cameras),
            engine_id=desk.in_force.engine_id,
            recipe=identity.recipe,
            recipe_number=identity.recipe_number,
            recipe_checksum=identity.recipe_checksum,
            config_checksum=identity.config_checksum,
            counters=desk.ledger.counters,
            in_flight=len(desk.ledger.open_parts),
            drained=desk.ledger.is_drained,
            challenge=desk.challenge.status,
            recent=recent,
            waits_for=_waits_for(desk.handshake) if condition.takes_parts else "",
            trigger_enable=desk.handshake.enabled,
            oldest_open=min((part.acquisition_id for part in desk.ledger.open_parts), default=0),
        )

    def _status(self) -> StationStatus:
        desk = self._desk
        ledger = desk.ledger
        condition = desk.condition
        identity = desk.in_force.identity
        challenge = desk.challenge
        held_up = desk.views.awaits_frame or challenge.machine.waits or ledger.is_full or ledger.has_challenge_part
        return StationStatus(
            online=condition.may_signal,
            can_take_part=condition.takes_parts and not held_up,
            software_trigger=not desk.views.line_triggered,
            busy=bool(ledger.open_parts),
            state=condition.state(enabled=desk.handshake.enabled),
            offline_reason=condition.why_offline,
            error_code=condition.fault,
            warning_code=next(iter(condition.warnings), WarningCode.NONE),
            recipe=identity.recipe_number,
            recipe_changing=condition.changing is OfflineReason.CHANGING_RECIPE,
            recipe_checksum=_first_32_bits(identity.recipe_checksum),
            engine_id=_first_32_bits(desk.in_force.engine_id),
            config_checksum=_first_32_bits(identity.config_checksum),
            threshold=desk.in_force.reject_score(),
            drift=not DRIFT_WARNINGS.isdisjoint(condition.warnings),
            challenge_due=challenge.machine.due_since_s is not None,
            challenge_running=bool(challenge.machine.takes_masters),
            challenge_state=challenge.machine.state,
            challenge_step=challenge.machine.step,
            line_stop=condition.line_stop,
            batch=desk.ports.batch(),
        )


@lru_cache(maxsize=8)
def _first_32_bits(checksum: str) -> int:
    """Of a hexadecimal checksum; 0 when there is none."""
    return int(checksum[:8] or "0", 16)


def _waits_for(handshake: Handshake) -> str:
    """Why TriggerReady is 0 although nothing keeps the station off line; empty: it is 1."""
    if handshake.ready:
        return ""
    if not handshake.enabled:
        return "TriggerEnable of the PLC is 0"
    if not handshake.plc_alive:
        return "PlcHeartbeat stands still"
    if not handshake.has_slot:
        return "all result slots are full: the PLC has not acknowledged earlier results"
    return "a part is being taken, or those in flight or a master part come first"
