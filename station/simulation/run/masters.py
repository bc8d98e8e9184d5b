"""The challenge test of a demo: master parts with ids of their own, and their book beside that of production."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from station.simulation.parts.pictures import GOOD
from station.simulation.parts.schedule import ScheduledPart
from station.simulation.plant.belt import Bin
from station.simulation.plant.plc_signals import Result
from station.simulation.run.processes import LineState


@dataclass(frozen=True, slots=True)
class MasterBook:
    """What became of the master parts."""

    parts: tuple[dict[str, object], ...]
    """part_id, name, expected, result (as the PLC read it; empty: none) and bin of each."""
    recorded: int | None
    """How many the records of the station hold as master parts; None: not looked at."""
    wrong: tuple[str, ...]
    """Parts that were inspected and not judged as expected, in words."""
    problems: tuple[str, ...]
    """What must never be."""

    def as_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name in ("parts", "recorded")}


def challenge_section(parts: Sequence[ScheduledPart]) -> str:
    """The section of the configuration; empty: there are no master parts. Their ids are theirs alone: the PLC counts on
    from part to part, and they come one behind the other."""
    if not parts:
        return ""
    tables = "".join(
        f"\n[[challenge.parts]]\nname = {json.dumps(_name(part))}\nexpected = {json.dumps(_expected(part))}\n"
        for part in parts
    )
    return f"\n[challenge]\npart_ids = [{parts[0].serial}, {parts[-1].serial}]\n{tables}"


def book_of(parts: Sequence[ScheduledPart], line: LineState, recorded: int | None) -> MasterBook:
    """The book of these parts. `recorded`: see `MasterBook`."""
    made, wrong, problems = [], [], []
    for part in parts:
        result = str(line.judgements.get(part.serial, {}).get("result", ""))
        end = line.ends.get(part.serial, {}).get("bin")
        made.append({"part_id": part.serial, "name": _name(part), "expected": _expected(part),
                     "result": "" if result == Result.NONE.name else result, "bin": end})  # fmt: skip
        if result not in ("", Result.NONE.name) and result != _expected(part).upper():
            wrong.append(f'master part "{_name(part)}" is {result}, {_expected(part).upper()} expected')
        if end == Bin.GOOD.value and part.truth != GOOD:
            problems.append(f'master part "{_name(part)}" is in the good bin')
    seen = sum(bool(one["result"]) for one in made)
    if recorded is not None and recorded < seen:
        problems.append(f"the PLC read results of {seen} master parts, the records hold {recorded}")
    return MasterBook(tuple(made), recorded, tuple(wrong), tuple(problems))


def _name(part: ScheduledPart) -> str:
    return "good part" if part.truth == GOOD else part.truth.replace("_", " ")


def _expected(part: ScheduledPart) -> str:
    return "pass" if part.truth == GOOD else "fail"
