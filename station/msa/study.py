"""The plan of a study: which parts, what they are known to be, and in which blind order they are shown. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

STATION = "station"
"""The name under which this station takes part."""
PARTS, TRIALS, DEFECTIVE_SHARE, BORDERLINE_SHARE = 50, 3, 0.25, 0.25
"""AIAG: 50 parts, three trials, a third to a half of the parts near the limit; of each kind at least a quarter."""
MAX_PARTS, MAX_TRIALS = 500, 20
MAX_NAME = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_SAFE_PART = re.compile(r"[^\x00-\x1f\x7f]{1,64}")


class StudyError(Exception):
    """The study cannot be planned, shown or rated so; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part of a study and what it is known to be."""

    name: str
    """What stands on it."""
    good: bool
    borderline: bool = False
    """Near the limit between good and defective."""
    session: str = ""
    acquisition_id: int = 0
    """Of a part on record whose picture people see; with an empty session there is none."""

    @property
    def has_picture(self) -> bool:
        return bool(self.session)

    @property
    def in_words(self) -> str:
        return "good" if self.good else "defective"


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it was planned; it never changes."""

    name: str
    parts: tuple[KnownPart, ...]
    trials: int
    seed: int
    appraisers: tuple[str, ...] = ()
    """People who take part; empty: whoever may review."""
    recipe: str = ""
    made_at: float = 0.0
    made_by: str = ""

    @property
    def defective(self) -> int:
        return sum(not part.good for part in self.parts)

    @property
    def has_pictures(self) -> bool:
        """Whether people see pictures; else they hold the parts in their hands."""
        return all(part.has_picture for part in self.parts)

    def part(self, name: str) -> KnownPart:
        """Raises StudyError: it has no such part."""
        for each in self.parts:
            if each.name == name:
                return each
        raise StudyError(f'study "{self.name}" has no part "{name}"')

    def order(self, appraiser: str, trial: int) -> tuple[KnownPart, ...]:
        """The parts in the order of this trial: another one for everybody and each time, the same after a restart."""
        order = list(self.parts)
        random.Random(f"{self.seed}/{appraiser}/{trial}").shuffle(order)
        return tuple(order)

    @property
    def advice(self) -> list[str]:
        """Where the plan falls short of AIAG, for people."""
        parts, defective = len(self.parts), self.defective
        said = []
        if parts < PARTS:
            said.append(f"{parts} parts; AIAG asks for {PARTS}")
        if self.trials < TRIALS:
            said.append(f"{self.trials} trials; AIAG asks for {TRIALS}")
        for kind, count in (("defective", defective), ("good", parts - defective)):
            if count < DEFECTIVE_SHARE * parts:
                said.append(
                    f"{count} of {parts} parts are {kind}; at least a quarter of each kind says something of both"
                )
        if sum(part.borderline for part in self.parts) < BORDERLINE_SHARE * parts:
            said.append(
                "fewer than a quarter of the parts are marked borderline; easy parts make every inspection look good"
            )
        return said


def checked(study: Study) -> Study:
    """The same study. Raises StudyError: it cannot be made."""
    if not _NAME.fullmatch(study.name):
        raise StudyError(f'study "{study.name:.80}": 1 to {MAX_NAME} letters, digits, dots, dashes, underscores')
    if not 2 <= len(study.parts) <= MAX_PARTS:
        raise StudyError(f"{len(study.parts)} parts: a study has 2 to {MAX_PARTS}")
    if not 1 <= study.trials <= MAX_TRIALS:
        raise StudyError(f"trials = {study.trials}: 1 to {MAX_TRIALS}")
    names = [part.name for part in study.parts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StudyError(f'part "{twice[0]}" stands in the plan twice')
    for name in (*names, *study.appraisers):
        if not _SAFE_PART.fullmatch(name) or name != name.strip():
            raise StudyError(f'name "{name:.80}": 1 to 64 letters in one line, no space at its ends')
    if STATION in study.appraisers:
        raise StudyError(f'appraiser "{STATION}": this is the name of the station itself; name the people')
    if not 0 < study.defective < len(study.parts):
        raise StudyError("all parts are of one kind: a study needs good parts and defective ones")
    return study


def parts_from(lines: Sequence[str]) -> tuple[KnownPart, ...]:
    """Parts from lines of `part,good` or `part,defective[,borderline]`; a header is left out. Raises StudyError."""
    found = []
    for number, line in enumerate(lines, start=1):
        words = [word.strip() for word in line.replace(";", ",").split(",")]
        if not any(words) or (number == 1 and words[1:2] and words[1].lower() in ("reference", "label", "is")):
            continue
        if len(words) not in (2, 3) or words[1].lower() not in ("good", "defective", "1", "0"):
            raise StudyError(f'line {number}, "{line:.80}": name,good or name,defective, and borderline behind it')
        if words[2:] and words[2].lower() not in ("", "borderline"):
            raise StudyError(f'line {number}, "{words[2]:.40}": borderline or nothing')
        found.append(KnownPart(words[0], words[1].lower() in ("good", "1"), bool(words[2:] and words[2])))
    return tuple(found)
