"""What other threads ask of the challenge test, and how it stands."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

from station.line.challenge.machine import ChallengeSettings, ChallengeState
from station.records.challenge_runs import Run


@dataclass(frozen=True, slots=True)
class StartChallenge:
    """Somebody wants a challenge test; why it does not start, or nothing, is put into `reply`."""

    who: str
    reply: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)


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


ChallengeMessage = StartChallenge | ConfirmPart | ResetChallenge | ChallengeConfigured


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
