"""What other threads ask of the challenge test, and how it stands."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from station.control import ControlError
from station.line.challenge.machine import ChallengeSettings, ChallengeState
from station.records.challenge_runs import MasterPart, Run
from station.results import Verdict

MAX_NAME, MAX_STUDY_PARTS = 64, 500


@dataclass(frozen=True, slots=True)
class StartChallenge:
    """Somebody wants a challenge test; why it does not start, or nothing, is put into `reply`."""

    who: str
    reply: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True, slots=True)
class StartStudy:
    """Somebody wants a trial of an agreement study; why it does not start, or nothing, is put into `reply`."""

    who: str
    study: str
    parts: tuple[MasterPart, ...]
    """In the order in which they are shown."""
    reply: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    @staticmethod
    def of(request: Mapping[str, Any], who: str) -> StartStudy:
        """What another process asks: `study`, its name, and `parts`, a list of [name, whether it is good].

        Raises:
            ControlError: says what is allowed.
        """
        study, parts = request.get("study"), request.get("parts")
        if not (isinstance(study, str) and 0 < len(study) <= MAX_NAME and study.isprintable()):
            raise ControlError(f"study: the name of a study, 1 to {MAX_NAME} letters")
        if not (isinstance(parts, list) and 0 < len(parts) <= MAX_STUDY_PARTS):
            raise ControlError(f"parts: a list of 1 to {MAX_STUDY_PARTS} parts, each [name, whether it is good]")
        known = []
        for part in parts:
            match part:
                case [str(name), bool(good)] if 0 < len(name) <= MAX_NAME and name.isprintable():
                    known.append(MasterPart(name, Verdict.PASS if good else Verdict.FAIL))
                case _:
                    raise ControlError(f"parts: {part!r:.100} is not [name, whether it is good]")
        return StartStudy(who, study, tuple(known))


@dataclass(frozen=True, slots=True)
class ConfirmPart:
    """The master part that is asked for lies next; why that means nothing now, or nothing, is put into `reply`."""

    who: str
    reply: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True, slots=True)
class ResetChallenge:
    """Maintenance has seen to a failed challenge test; why that is refused, or nothing, is put into `reply`."""

    who: str
    why: str
    reply: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True, slots=True)
class ChallengeConfigured:
    """The challenge test has another configuration."""

    settings: ChallengeSettings
    recipe_changed: bool


ChallengeMessage = StartChallenge | StartStudy | ConfirmPart | ResetChallenge | ChallengeConfigured


@dataclass(frozen=True, slots=True)
class ChallengeStatus:
    """How the challenge test stands, for people."""

    state: ChallengeState = ChallengeState.NONE
    step: int = 0
    next_part: str = ""
    overdue: bool = False
    due_since_s: float | None = None
    last: Run | None = None
    awaits_confirmation: bool = False
    """A person must say that the next part is on."""
