"""The state of the station as the PLC reads it, and as people do: brought up to date after whatever has happened.

`refresh` runs after every message, every tick, and within a part where the PLC must know at once (TriggerAck, result).
"""

from __future__ import annotations

from functools import lru_cache

from drivers.plc.protocol import PlcOutputs
from station.codes import OfflineReason, WarningCode
from station.line.challenge.duty import ChallengeDuty
from station.line.handshake.machine import Handshake
from station.line.handshake.messages import ResultsWithdrawn, StationStatus
from station.line.signalling.annunciator import Annunciator
from station.line.signalling.in_force import InForce
from station.line.signalling.ledger import Ledger
from station.line.signalling.ports import Ports
from station.line.signalling.snapshot import RecentPart, Snapshot
from station.line.signalling.view_matching import ViewMatching
from station.results import Verdict


class StatusBlock:
    """Gathers the state from its owners, hands it to the handshake, and publishes what has changed."""

    def __init__(
        self,
        ports: Ports,
        *,
        ledger: Ledger,
        views: ViewMatching,
        handshake: Handshake,
        challenge: ChallengeDuty,
        annunciator: Annunciator,
        in_force: InForce,
        software_trigger: bool,
    ) -> None:
        """`software_trigger`: the station triggers its cameras."""
        self._ledger = ledger
        self._views = views
        self._handshake = handshake
        self._challenge = challenge
        self._annunciator = annunciator
        self._in_force = in_force
        self._ports = ports
        self._software_trigger = software_trigger
        self._published: PlcOutputs | None = None

    def refresh(self, now: int) -> None:
        self._attend_challenge()
        for withdrawn in self._handshake.station_changed(self._status(), now):
            self.withdrawn(withdrawn)
        self._handshake.counted(self._ledger.counters)
        outputs = self._handshake.outputs()
        if outputs != self._published:
            self._published = outputs
            self._ports.publish(outputs)

    def withdrawn(self, request: ResultsWithdrawn) -> None:
        """The PLC will not see these results any more."""
        ids = ", ".join(str(acquisition_id) for acquisition_id in request.acquisition_ids)
        self._ports.event("results_withdrawn", "warning", f"not acknowledged by the PLC, now Reject: {ids}")
        self._ports.tracking.withdrawn(request.acquisition_ids, self._handshake.refusal(Verdict.PASS))

    def snapshot(self, recent: tuple[RecentPart, ...]) -> Snapshot:
        """For people."""
        condition, identity = self._annunciator.condition, self._in_force.identity
        return Snapshot(
            state=condition.state(enabled=self._handshake.enabled),
            online=condition.online,
            ready=self._handshake.ready,
            offline_reason=condition.why_offline,
            error_code=condition.fault,
            error_detail=condition.fault_detail,
            warnings=tuple(condition.warnings),
            cameras=dict(condition.cameras),
            engine_id=self._in_force.engine_id,
            recipe=identity.recipe,
            recipe_number=identity.recipe_number,
            recipe_checksum=identity.recipe_checksum,
            config_checksum=identity.config_checksum,
            counters=self._ledger.counters,
            in_flight=len(self._ledger.open_parts),
            drained=self._ledger.is_drained,
            challenge=self._challenge.status,
            recent=recent,
        )

    def _attend_challenge(self) -> None:
        """What the challenge test means for the parts to come, and its news."""
        machine, annunciator = self._challenge.machine, self._annunciator
        if machine.waits and self._ledger.is_drained:
            machine.drained()
        self._ledger.challenge_run = machine.takes_masters
        annunciator.condition.challenge = machine.why_off
        for code, active in machine.warnings.items():
            annunciator.warn(code, active)
        self._challenge.report(self._in_force.identity, self._in_force.engine_id)

    def _status(self) -> StationStatus:
        condition, challenge = self._annunciator.condition, self._challenge.machine
        identity, ledger = self._in_force.identity, self._ledger
        held_up = self._views.awaits_frame or challenge.waits or ledger.is_full or ledger.has_challenge_part
        return StationStatus(
            online=condition.online,
            can_take_part=condition.takes_parts and not held_up,
            software_trigger=self._software_trigger,
            busy=bool(ledger.open_parts),
            state=condition.state(enabled=self._handshake.enabled),
            offline_reason=condition.why_offline,
            error_code=condition.fault,
            warning_code=next(iter(condition.warnings), WarningCode.NONE),
            recipe=identity.recipe_number,
            recipe_changing=condition.changing is OfflineReason.CHANGING_RECIPE,
            recipe_checksum=_first_32_bits(identity.recipe_checksum),
            engine_id=_first_32_bits(self._in_force.engine_id),
            config_checksum=_first_32_bits(identity.config_checksum),
            threshold=self._in_force.reject_score(),
            challenge_due=challenge.due_since_s is not None,
            challenge_running=bool(challenge.takes_masters),
            challenge_state=challenge.state,
            challenge_step=challenge.step,
            line_stop=condition.line_stop,
        )


@lru_cache(maxsize=8)
def _first_32_bits(checksum: str) -> int:
    """Of a hexadecimal checksum; 0 when there is none."""
    return int(checksum[:8] or "0", 16)
