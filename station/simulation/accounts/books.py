"""The books of a run: what the line saw beside what the station counted, and what must never be.

Pure. Unlike the report of the demo it needs no records: only what the line knows and the counters of the map, so it
works against any station.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from station.simulation.accounts.report import ids_in_words
from station.simulation.parts.pictures import GOOD
from station.simulation.parts.schedule import ScheduledPart
from station.simulation.plant.belt import Bin
from station.simulation.plant.plc import ID_NOT_ACKNOWLEDGED
from station.simulation.plant.plc_signals import Result, TriggerMode
from station.simulation.run.processes import LineState

COUNTERS = ("triggers", "pass", "fail", "review", "error", "missed")
"""As in the map: CountTriggers to CountMissed."""
VERDICTS = ("pass", "fail", "review", "error")
INSPECTED = {Result.PASS.name, Result.FAIL.name, Result.REVIEW.name}


@dataclass(frozen=True, slots=True)
class Books:
    """Everything in numbers; part ids where a person wants to look closer."""

    parts: int
    good_bin: int
    reject_bin: int
    line: dict[str, int]
    """Edges of the light barrier that reached the camera (0 when the PLC triggers), and results that the PLC read."""
    station: dict[str, int]
    """What the station counted meanwhile."""
    bad_parts_passed: tuple[int, ...]
    wrong_ejections: tuple[int, ...]
    """Pushed off although the PLC had let them pass."""
    not_ejected: tuple[int, ...]
    """In the good bin although the PLC wanted them off."""
    misfires: int
    late_pictures: tuple[int, ...]
    """Parts inspected by a picture that was taken after they had left the camera's view: this machine is too slow."""
    never_left: tuple[int, ...]
    good_parts_rejected: dict[str, int]
    """By what the PLC says."""
    faults: dict[str, int]
    """What the PLC did wrong, and how often."""
    station_faults: int
    """Faults of the station that somebody at the line has cleared."""
    belt_waited_s: float
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def settle(parts: Sequence[ScheduledPart], line: LineState, counted: Mapping[str, int], trigger: TriggerMode) -> Books:
    """Closes the books; `counted`: what the station's counters have gone up by, under the names of `COUNTERS`."""
    truths = {part.serial: part.truth for part in parts}
    ends = {serial: Bin(end["bin"]) for serial, end in line.ends.items() if serial in truths}
    judged = {serial: judgement for serial, judgement in line.judgements.items() if serial in truths}
    good = {serial for serial, end in ends.items() if end is Bin.GOOD}
    passed = {serial for serial, judgement in judged.items() if judgement["passed"]}
    seen = line.triggers - len(line.unseen) - line.camera_missed if trigger is TriggerMode.LINE else 0
    read = {name: line.results_read.get(name.upper(), 0) for name in VERDICTS}
    late = {serial for serial in line.unexposed if judged.get(serial, {}).get("result") in INSPECTED}
    rejected_good = Counter(judged[serial]["why"] for serial in judged.keys() - good if truths[serial] == GOOD)
    found = {
        "bad_parts_passed": tuple(sorted(serial for serial in good if truths[serial] != GOOD)),
        "wrong_ejections": tuple(sorted(serial for serial in ends.keys() - good if serial in passed)),
        "not_ejected": tuple(sorted(good - passed)),
        "late_pictures": tuple(sorted(late)),
        "never_left": tuple(sorted(truths.keys() - ends.keys())),
    }
    line_books = {"triggers": seen, **read}
    return Books(
        parts=len(parts),
        good_bin=len(good),
        reject_bin=len(ends) - len(good),
        line=line_books,
        station=dict(counted),
        misfires=line.misfires,
        good_parts_rejected=dict(rejected_good),
        faults=dict(line.faults),
        station_faults=line.faults_cleared,
        belt_waited_s=line.belt_waited_s,
        problems=tuple(_problems(found, line_books, counted, line)),
        **found,
    )


def ids_without_a_picture(line: LineState) -> frozenset[int]:
    """Ids that the PLC gave, and for which no picture can come that takes them: where the station has heard of one, it
    accounts for that part, too.

    The part never came to the light barrier, no camera listened when it did, or the id was on its way when it did. Then
    the picture is a part without an id, or that of an id before, and the station cannot know that the id behind it
    belongs to that picture: for an id that comes after a trigger belongs to the next one. The PLC knows it, for it has
    no acknowledgement, and pushes the part off.
    """
    unseen = set(line.unseen)
    return frozenset(
        serial
        for serial, judgement in line.judgements.items()
        if judgement["id_given"]
        and (judgement["at_barrier_s"] is None or serial in unseen or judgement["why"] == ID_NOT_ACKNOWLEDGED)
    )


def _problems(
    found: Mapping[str, tuple[int, ...]], line: Mapping[str, int], counted: Mapping[str, int], state: LineState
) -> list[str]:
    texts = {
        "bad_parts_passed": "bad parts in the good bin",
        "wrong_ejections": "parts pushed off although their PASS was taken",
        "not_ejected": "parts in the good bin without a PASS",
        "late_pictures": "parts inspected by a picture taken too late (this machine is too slow or too busy)",
        "never_left": "parts that never left the belt",
    }
    problems = [f"{text}: {ids_in_words(found[name])}" for name, text in texts.items() if found[name]]
    if state.misfires:
        problems.append(f"the ejector fired {state.misfires} times with no part in front of it")
    verdicts = sum(counted[name] for name in VERDICTS)
    if counted["triggers"] != verdicts:
        problems.append(f"the station's ledger does not balance: {counted['triggers']} triggers, {verdicts} verdicts")
    for name in VERDICTS:
        if line[name] > counted[name]:
            problems.append(f"the PLC read {line[name]} results {name}, the station counted {counted[name]}")
    accounted = counted["triggers"] + counted["missed"]
    at_most = line["triggers"] + len(ids_without_a_picture(state)) + state.camera_missed
    if line["triggers"] and not line["triggers"] <= accounted <= at_most:
        problems.append(f"the camera was triggered {line['triggers']} times, the station accounts for {accounted}")
    return problems
