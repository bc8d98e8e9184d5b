"""What the pieces of the signalling thread share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from station.line.challenge.duty import ChallengeDuty
from station.line.ejection.belt import EncoderBelt
from station.line.handshake.machine import Handshake
from station.line.signalling.condition import Condition
from station.line.signalling.in_force import InForce
from station.line.signalling.ledger import Ledger
from station.line.signalling.ports import Ports
from station.line.signalling.view_matching import ViewMatching


@dataclass(frozen=True, slots=True)
class Desk:
    """The machines of one signalling thread, each the one owner of its state, and the ways out.

    `Opening`, `Judging`, `Closing` and `StatusBlock` are plain objects of that thread and get the desk whole.
    """

    ledger: Ledger
    views: ViewMatching
    handshake: Handshake
    challenge: ChallengeDuty
    condition: Condition
    in_force: InForce
    ports: Ports
    clock: Callable[[], int]
    """CLOCK_MONOTONIC in ns."""
    belt: EncoderBelt | None = None
    """Where cameras are placed by the encoder."""
