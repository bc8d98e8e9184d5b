"""The challenge test as the signalling thread sees it: the machine with a clock, and what goes on record."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from station import noted
from station.codes import OfflineReason, ReasonCode
from station.line.challenge.machine import Challenge, ChallengeSettings
from station.line.challenge.messages import (
    ChallengeConfigured,
    ChallengeMessage,
    ChallengeStatus,
    ConfirmPart,
    ResetChallenge,
    StartChallenge,
    StartStudy,
)
from station.records.challenge_runs import MasterPart, Memory, Run, RunVerdict
from station.records.challenges import ChallengeRow
from station.records.events import RecordEvent
from station.results import Decision, Identity, Verdict


@dataclass(frozen=True, slots=True)
class ChallengePorts:
    """Where news goes. None of these may block."""

    record: Callable[[ChallengeRow], None]
    event: RecordEvent


class ChallengeDuty:
    """Owns the machine of the challenge test, gives it the time, reports its runs. Called by the signalling thread."""

    def __init__(
        self,
        ports: ChallengePorts,
        settings: ChallengeSettings | None = None,
        memory: Memory | None = None,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._ports = ports
        self._wall_clock = wall_clock
        self.machine = Challenge(settings or ChallengeSettings(), memory or Memory(), wall_clock())

    @property
    def status(self) -> ChallengeStatus:
        machine = self.machine
        return ChallengeStatus(
            machine.state,
            machine.step,
            machine.next_part,
            machine.overdue,
            machine.due_since_s,
            machine.last,
            awaits_confirmation=machine.awaits_confirmation,
        )

    @property
    def keeps_off(self) -> OfflineReason:
        """CHALLENGE_FAILED or CHALLENGE_OVERDUE while it keeps parts away, else NONE."""
        return self.machine.why_off or OfflineReason.NONE

    def tick(self) -> None:
        self.machine.tick(self._wall_clock())

    def handle(self, message: ChallengeMessage, *, teaching: bool) -> None:
        """Carries out what another thread asks."""
        match message:
            case StartChallenge(who, reply):
                reply.put(self.start(who, teaching=teaching))
            case StartStudy(who, study, parts, reply):
                reply.put(self._refused(self._study(who, study, parts, teaching=teaching)))
            case ConfirmPart(who, reply):
                reply.put(self.confirm(who))
            case ResetChallenge(who, why, reply):
                reply.put(self._refused(self.machine.reset(who, why)))
            case ChallengeConfigured(settings, recipe_changed):
                self.machine.configured(settings, recipe_changed=recipe_changed)

    def start(self, who: str, *, teaching: bool) -> str:
        """Starts a test; returns why it does not start, or nothing. `teaching`: parts are not inspected now."""
        return self._refused("parts are being taken for teaching" if teaching else self.machine.start(who))

    def _study(self, who: str, study: str, parts: tuple[MasterPart, ...], *, teaching: bool) -> str:
        return "parts are being taken for teaching" if teaching else self.machine.start_study(who, study, parts)

    def confirm(self, who: str) -> str:
        """Somebody has put on the master part that is asked for; returns why that means nothing now, or nothing."""
        step, part = self.machine.step, self.machine.next_part
        if why := self._refused(self.machine.confirm()):
            return why
        self._ports.event("challenge", "info", noted.PUT_ON(name=who, count=step, part=part))
        return ""

    def start_or_confirm(self, who: str, *, teaching: bool) -> str:
        """The one key at the line: begins a test, and then says of each part that it is on."""
        return self.confirm(who) if self.machine.awaits_confirmation else self.start(who, teaching=teaching)

    def mode(self, on: bool) -> None:
        """ChallengeMode as the PLC wrote it last."""
        self._refused(self.machine.mode(on))

    def closed(self, run_number: int, acquisition_id: int, decision: Decision) -> Decision:
        """A part has its verdict; what it becomes: a master part that must not pass does not."""
        may_pass = self.machine.part_closed(run_number, acquisition_id, decision)
        if decision.verdict is not Verdict.PASS or may_pass:
            return decision
        return Decision.error(ReasonCode.CHALLENGE_PART_PASSED, "was PASS")

    def attend(self, *, drained: bool, has_master: bool, identity: Identity, engine_id: str) -> None:
        """Once a turn of the signalling loop: moves a waiting test on, records and logs the runs that have changed.

        `drained`: no part is in flight, and none that was announced may still come. `has_master`: a master part is in
        flight. `identity`, `engine_id`: in use now.
        """
        if has_master:
            self.machine.master_came()
        if drained and self.machine.waits:
            self.machine.drained()
        for run in self.machine.news():
            self._ports.record(ChallengeRow(run, identity.recipe, identity.recipe_checksum, engine_id))
            level = "error" if run.verdict is RunVerdict.FAILED and not run.reset_by else "info"
            self._ports.event("challenge", level, _text(run))

    def _refused(self, why: str) -> str:
        if why:
            self._ports.event("challenge_refused", "warning", why)
        return why


def _text(run: Run) -> str:
    if run.study:
        return _of_study(run)
    if run.reset_by:
        reset = noted.RESET_WHY if run.reset_why else noted.RESET
        return reset(count=run.number, name=run.reset_by, why=run.reset_why)
    if run.verdict is not RunVerdict.RUNNING:
        ended = noted.ENDED_WHY if run.detail else noted.ENDED
        return ended(count=run.number, verdict=run.verdict.value, detail=run.detail)
    if not run.steps:
        return noted.STARTED(count=run.number, name=run.started_by, part=run.parts[0].name)
    step = run.steps[-1]
    return noted.STEP(count=run.number, part=step.part, verdict=step.verdict.name, outcome=step.outcome.value)


def _of_study(run: Run) -> str:
    """Of a trial; which parts are good stays unsaid, whoever reads the log may be asked next."""
    trial = f"test {run.number}, a trial of study {run.study}"
    if run.verdict is RunVerdict.PASSED:
        return f"{trial}: every part was shown"
    if run.verdict is not RunVerdict.RUNNING:
        return f"{trial} {run.verdict.value} {run.detail}".rstrip()
    if not run.steps:
        return f"{trial} started by {run.started_by}, put on: {run.parts[0].name}"
    return f"{trial}: {run.steps[-1].part} was {run.steps[-1].verdict.name}, {run.done} of {len(run.parts)}"
