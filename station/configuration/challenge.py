"""Section `[challenge]`: when known master parts must be shown to the station, and what it must say of them."""

from __future__ import annotations

from datetime import time
from typing import Literal

from pydantic import Field, field_validator, model_validator

from station.codes import ReasonCode
from station.configuration.section import Section

LARGEST_PART_ID = 0xFFFF_FFFF
"""What two registers hold."""


class ChallengePart(Section):
    """A master part: `[[challenge.parts]]`, in the order in which they are put on."""

    name: str = Field(description="What is written on it.", min_length=1, max_length=64)
    expected: Literal["pass", "review", "fail"] = Field("fail", description="The verdict that it must get.")
    reason: str | None = Field(
        None, description="The reason that must be among those of the verdict, as docs/plc.md names it; unset: any."
    )

    @field_validator("reason")
    @classmethod
    def _known(cls, reason: str | None) -> str | None:
        if reason is not None and reason not in ReasonCode.__members__:
            raise ValueError(f"no such reason; known: {', '.join(ReasonCode.__members__)}")
        return reason

    @model_validator(mode="after")
    def _pass_has_none(self) -> ChallengePart:
        if self.expected == "pass" and self.reason is not None:
            raise ValueError("a pass has no reason")
        return self


class ChallengeParts(Section):
    """The master parts of a recipe."""

    parts: list[ChallengePart] = Field(
        default_factory=list, max_length=100, description="The master parts in order; none: no challenge test."
    )

    @model_validator(mode="after")
    def _names_differ(self) -> ChallengeParts:
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError(f"names of master parts must differ: {names}")
        return self


class ChallengeSection(ChallengeParts):
    """The challenge test: known master parts show that the station still finds what it must find."""

    every_h: float | None = Field(None, gt=0, le=10_000, description="Due this time after the last one that passed.")
    shifts: list[str] = Field(
        default_factory=list, max_length=24, description='Due at these times of day, "HH:MM" in local time.'
    )
    every_parts: int | None = Field(None, ge=1, description="Due after this number of parts of production.")
    on_recipe_change: bool = Field(False, description="Due when another recipe was selected.")
    part_ids: list[int] | None = Field(
        None,
        description="First and last of the ids that the PLC gives to master parts and to no other part. Unset: master "
        "parts are those triggered while ChallengeMode is 1, else one after each confirmation.",
    )
    interlock: Literal["warn", "stop"] = Field(
        "warn",
        description="`stop`: TriggerReady falls when a test is overdue or failed. `warn`: only a warning, unless a "
        "master part that had to be rejected passed: that always takes the station off line.",
    )
    grace_min: float = Field(15.0, ge=0, le=1440, description="A test is overdue this time after it became due.")
    timeout_min: float = Field(30.0, gt=0, le=1440, description="A test that takes longer ends without a verdict.")

    @field_validator("part_ids")
    @classmethod
    def _range(cls, part_ids: list[int] | None) -> list[int] | None:
        if part_ids is not None and not (len(part_ids) == 2 and 1 <= part_ids[0] <= part_ids[1] <= LARGEST_PART_ID):
            raise ValueError(f"{part_ids}: two numbers, the first and the last id, from 1 to {LARGEST_PART_ID}")
        return part_ids

    @field_validator("shifts")
    @classmethod
    def _times(cls, shifts: list[str]) -> list[str]:
        for shift in shifts:
            try:
                time.fromisoformat(shift)
            except ValueError:
                raise ValueError(f'{shift!r} is not a time of day; write "06:00"') from None
        return shifts

    @property
    def becomes_due(self) -> bool:
        """A schedule is configured."""
        return bool(self.every_h or self.shifts or self.every_parts or self.on_recipe_change)
