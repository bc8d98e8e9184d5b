"""The challenge test: known master parts show, in order, that the station still finds what it must find. Pure.

No threads, no files, no clock: the caller gives the time in seconds since the epoch. One thread (signalling) owns it.

          due ─► start ─► RUNNING: no part is taken until those before have their results, then one part after the other
    NONE/PASSED    ▲       │ every part as expected ─► PASSED
                   │       │ a part that was not inspected: the same part again
                   │       │ too long, or another recipe: ABORTED, due as before
                   │       ▼ a part not as expected
               reset by ◄─ FAILED, and an escape if it had to be rejected and passed
             maintenance

Which parts are master parts is never guessed; on a running line the next one would be of production:

* those whose id lies in `part_ids`, where the PLC numbers master parts in a range of their own; else
* those triggered while ChallengeMode is 1; else
* one part after each confirmation by the person who has put it on. Until then no part is taken.

A trial of an agreement study (`station.msa`) runs the same way with parts of its own: what the station says of a part
is kept and fails nothing, and the trial counts for no challenge test.

Fail-safe rules held here:

* A master part is let through only when its own step expects a PASS.
* FAILED ends with a reset by a person who gives a name, and by nothing else; then a test is due at once.
* What is not known (never passed, clock set back) counts as due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import IntEnum

from station.codes import OfflineReason, WarningCode
from station.records.challenge_runs import MasterPart, Memory, Outcome, Run, RunVerdict, Step
from station.results import Decision

CLOCK_SLACK_S = 60.0
"""A last test so far in the future means that the clock was set back."""


class ChallengeState(IntEnum):
    """Register ChallengeState."""

    NONE = 0
    DUE = 1
    RUNNING = 2
    PASSED = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class ChallengeSettings:
    """See the configuration of the same names."""

    parts: tuple[MasterPart, ...] = ()
    every_s: float | None = None
    shifts: tuple[time, ...] = ()
    """Local times of day."""
    every_parts: int | None = None
    on_recipe_change: bool = False
    part_ids: range | None = None
    """Ids that the PLC gives to master parts only."""
    stops: bool = False
    """No part is taken while a test is overdue or has failed."""
    grace_s: float = 900.0
    timeout_s: float = 1800.0

    @property
    def becomes_due(self) -> bool:
        return bool(self.parts) and bool(self.every_s or self.shifts or self.every_parts or self.on_recipe_change)


class Challenge:
    """Owns the state of the challenge test of one station. Called by `ChallengeDuty` alone."""

    def __init__(
        self,
        settings: ChallengeSettings,
        memory: Memory,
        now_s: float,
        *,
        local: Callable[[float], datetime] = datetime.fromtimestamp,
    ) -> None:
        """`local`: from seconds since the epoch to the time of the place, for shifts."""
        self._settings = settings
        self._last = memory.last
        self._passed_s = memory.passed_s
        self._parts_since = memory.parts_since
        self._parts_due_s = 0.0
        """When the last part fell due; a restart does not know and takes it for long ago."""
        self._recipe_changed_s = memory.recipe_changed_s
        self._local = local
        self._now_s = now_s
        self._begun = False
        """Parts that were triggered before the test have their results: what is triggered now is a master part."""
        self._mode = False
        self._confirmed = False
        """A person has put the master part on, and it has not come yet."""
        self._moved_s = now_s
        """When a part of a study came last: a trial may be long, a person who has left it may not."""
        self._news: list[Run] = []

    def __repr__(self) -> str:
        """In one line, for debugging."""
        return f"<Challenge {self.state.name}" + (f", part {self.step}: {self.next_part}>" if self.step else ">")

    # ---- what the rest of the station may ask -------------------------------------------------------------------

    @property
    def state(self) -> ChallengeState:
        if self.failed:
            return ChallengeState.FAILED
        if self._run is not None:
            return ChallengeState.RUNNING
        if self.due_since_s is not None:
            return ChallengeState.DUE
        passed = self._passed_s is not None and self._settings.parts
        return ChallengeState.PASSED if passed else ChallengeState.NONE

    @property
    def step(self) -> int:
        """Number of the master part to put on next, from 1; 0: none."""
        return 0 if self._run is None else self._run.done + 1

    @property
    def next_part(self) -> str:
        """Its name."""
        return "" if self._run is None else self._run.parts[self._run.done].name

    @property
    def last(self) -> Run | None:
        """The run that is under way, or the last one."""
        return self._last

    @property
    def failed(self) -> bool:
        """A test failed, and nobody has reset it."""
        return self._last is not None and self._last.verdict is RunVerdict.FAILED and not self._last.reset_by

    @property
    def due_since_s(self) -> float | None:
        """Since when a test is due; None: none is."""
        settings = self._settings
        passed = self._passed_s
        now = self._now_s
        if not settings.parts:
            return None
        since: list[float] = []
        if self._last is not None and self._last.verdict is RunVerdict.FAILED:
            since.append(self._last.end_s or 0.0)
        if settings.becomes_due:
            if passed is None or passed > now + CLOCK_SLACK_S:
                return 0.0
            if settings.every_s is not None and now >= passed + settings.every_s:
                since.append(passed + settings.every_s)
            if settings.every_parts is not None and self._parts_since >= settings.every_parts:
                since.append(self._parts_due_s)
            if settings.on_recipe_change and self._recipe_changed_s is not None and self._recipe_changed_s > passed:
                since.append(self._recipe_changed_s)
            since += [shift for shift in self._shifts_before(now) if shift > passed]
        return min(since, default=None)

    @property
    def overdue(self) -> bool:
        since = self.due_since_s
        return since is not None and self._now_s >= since + self._settings.grace_s

    @property
    def why_off(self) -> OfflineReason | None:
        """Why no part is taken; None: parts are taken."""
        if self.failed and self._last is not None and (self._settings.stops or self._last.escape):
            return OfflineReason.CHALLENGE_FAILED
        if self._settings.stops and self.overdue and self._run is None:
            return OfflineReason.CHALLENGE_OVERDUE
        return None

    @property
    def waits(self) -> bool:
        """No part is taken for a moment: those before a test finish first, or ChallengeMode is 1 without a test."""
        if self._run is None:
            return self._mode and bool(self._settings.parts) and self._settings.part_ids is None
        return (not self._begun and not self._paused) or self.awaits_confirmation

    @property
    def awaits_confirmation(self) -> bool:
        """No part is taken until a person says that the master part lies next: nothing separates it from production."""
        if self._run is None or not self._begun or self._run.by_mode:
            return False
        return not (self._confirmed or self._mode or self._settings.part_ids)

    @property
    def warnings(self) -> dict[WarningCode, bool]:
        return {
            WarningCode.CHALLENGE_FAILED: self.failed,
            WarningCode.CHALLENGE_OVERDUE: self.overdue and self._run is None and not self.failed,
        }

    @property
    def takes_masters(self) -> int:
        """The run that parts triggered now belong to, if their id is one of `part_ids`; 0: they are production."""
        waits = not self._begun or self._paused or self.awaits_confirmation
        return 0 if self._run is None or waits else self._run.number

    @property
    def part_ids(self) -> range | None:
        """See `ChallengeSettings.part_ids`."""
        return self._settings.part_ids

    def news(self) -> list[Run]:
        """Runs that changed since the last call, as they are now."""
        news, self._news = self._news, []
        return news

    # ---- what happens -------------------------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Time goes on."""
        self._now_s = now_s
        if self._run is None:
            return
        running_s = now_s - (self._moved_s if self._run.study else self._run.start_s)
        if running_s >= self._settings.timeout_s or running_s < -CLOCK_SLACK_S:
            self._end(RunVerdict.ABORTED, f"not done after {self._settings.timeout_s / 60:g} min")

    def configured(self, settings: ChallengeSettings, *, recipe_changed: bool) -> None:
        """Takes another configuration. A run cannot go on with another recipe."""
        if recipe_changed:
            self._recipe_changed_s = self._now_s
        other_parts = settings.parts != self._settings.parts and not (self._run is not None and self._run.study)
        if self._run is not None and (recipe_changed or other_parts):
            self._end(RunVerdict.ABORTED, "recipe or configuration changed")
        self._settings = settings

    def start(self, who: str, *, by_mode: bool = False) -> str:
        """Begins a test; returns why it does not begin, or nothing."""
        if not self._settings.parts:
            return "there is no challenge test: [[challenge.parts]] is empty"
        if self.failed:
            return "the last challenge test failed; maintenance must reset it: station challenge reset --who NAME"
        if self._run is not None:
            return f"a challenge test is under way: step {self.step}, {self.next_part}"
        number = 1 if self._last is None else self._last.number + 1
        self._begun = self._settings.part_ids is not None  # ids separate them from the parts before
        self._changed(Run(number, who, self._now_s, self._settings.parts, by_mode=by_mode))
        return ""

    def start_study(self, who: str, study: str, parts: tuple[MasterPart, ...]) -> str:
        """Begins a trial of an agreement study; returns why it does not begin, or nothing."""
        if self.failed or self.due_since_s is not None:
            return "a challenge test is due or has failed: it comes first, a study needs a station that has passed it"
        if self._run is not None:
            return f"a test is under way: step {self.step}, {self.next_part}"
        number = 1 if self._last is None else self._last.number + 1
        self._begun = self._settings.part_ids is not None
        self._moved_s = self._now_s
        self._changed(Run(number, who, self._now_s, parts, study=study))
        return ""

    def confirm(self) -> str:
        """The master part that is asked for lies next. Returns why that means nothing now, or nothing."""
        if not self.awaits_confirmation:
            return "no challenge test waits for a confirmation; station challenge status says how it stands"
        self._confirmed = True
        return ""

    def drained(self) -> None:
        """No part is in flight, and none that was announced may still come."""
        self._begun = self._begun or (self._run is not None and self.waits)

    def master_came(self) -> None:
        """A master part is open: the confirmation was for this one."""
        self._confirmed = False

    def mode(self, on: bool) -> str:
        """ChallengeMode; its rising edge starts a test. Returns why it does not, or nothing."""
        rose = on and not self._mode
        self._mode = on
        if not rose or not self._settings.parts:
            return ""
        if self._run is not None:
            marked_now = self._run.by_mode and self._settings.part_ids is None
            self._begun = self._begun and not marked_now  # what was production must finish first
            return ""
        return self.start("plc", by_mode=True)

    def part_closed(self, run_number: int, acquisition_id: int, decision: Decision) -> bool:
        """A part has its verdict; `run_number` as it was when the part was triggered, 0 for production.

        Returns whether it may be let through, if it is a PASS.
        """
        run = self._run
        if not run_number:
            self._parts_since += 1
            if self._parts_since == self._settings.every_parts:
                self._parts_due_s = self._now_s
            return True
        if run is None or run.number != run_number:
            return False  # its test is over: nobody knows what it should have been
        self._confirmed = False
        part = run.parts[run.done]
        outcome = part.outcome(decision)
        step = Step(part.name, acquisition_id, decision.verdict, decision.code, outcome)
        self._moved_s = self._now_s
        self._changed(replace(run, steps=(*run.steps, step)))
        if outcome in (Outcome.WRONG, Outcome.ESCAPE) and not run.study:
            self._end(RunVerdict.FAILED, f"{part.name}: expected {part.expected.name}, was {_text(decision)}")
        elif self._run is not None and self._run.done == len(run.parts):
            self._end(RunVerdict.PASSED, "")
        return outcome is Outcome.AS_EXPECTED

    def reset(self, who: str, why: str) -> str:
        """Maintenance releases the station after a failed test, or ends a running one. Returns why not, or nothing."""
        if not who.strip():
            return "who resets it must be given"
        if self._run is not None:
            self._end(RunVerdict.ABORTED, f"ended by {who}: {why}".rstrip(": "))
            return ""
        if not self.failed or self._last is None:
            return "no challenge test has failed"
        self._changed(replace(self._last, reset_by=who, reset_s=self._now_s, reset_why=why))
        return ""

    @property
    def _run(self) -> Run | None:
        return self._last if self._last is not None and self._last.verdict is RunVerdict.RUNNING else None

    @property
    def _paused(self) -> bool:
        """ChallengeMode started the run and marks its parts, and is 0."""
        return self._run is not None and self._run.by_mode and not self._mode and self._settings.part_ids is None

    def _changed(self, run: Run) -> None:
        self._last = run
        self._news = [other for other in self._news if other.number != run.number] + [run]

    def _end(self, verdict: RunVerdict, detail: str) -> None:
        run = self._run
        if run is not None:
            self._changed(replace(run, verdict=verdict, detail=detail, end_s=self._now_s))
        self._begun = self._confirmed = False
        if verdict is RunVerdict.PASSED and run is not None and not run.study:
            self._passed_s = self._now_s
            self._parts_since = 0

    def _shifts_before(self, now_s: float) -> list[float]:
        """The last beginning of each shift."""
        now = self._local(now_s)
        begun = []
        for shift in self._settings.shifts:
            start = now.replace(hour=shift.hour, minute=shift.minute, second=shift.second, microsecond=0)
            begun.append((start if start <= now else start - timedelta(days=1)).timestamp())
        return begun


def _text(decision: Decision) -> str:
    reasons = ", ".join(reason.code.name for reason in decision.reasons)
    return f"{decision.verdict.name} ({reasons})" if reasons else decision.verdict.name
