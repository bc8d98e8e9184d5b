"""What a study says: figures of everybody, agreement of each two, and every part that they disagree on. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations

import numpy as np

from station.msa.bounds import Share, most_when_none, share, share_of_decisions
from station.msa.statistics import Kappa, Ratings, against, cohen, fleiss
from station.msa.storage import Rating
from station.msa.study import STATION, KnownPart, Study

GOOD_KAPPA, POOR_KAPPA = 0.75, 0.40
"""AIAG: above 0.75 good to excellent, below 0.40 poor."""


class Grade(Enum):
    """AIAG's three."""

    ACCEPTABLE = "acceptable"
    MARGINAL = "marginal"
    UNACCEPTABLE = "unacceptable"


LIMITS = {
    "effectiveness": (0.90, 0.80),
    "miss rate": (0.02, 0.05),
    "false alarm rate": (0.05, 0.10),
}
"""AIAG's decision table: acceptable, and marginal; the two rates at most, the effectiveness at least."""


@dataclass(frozen=True, slots=True)
class Appraiser:
    """A person, or a station."""

    name: str
    trials: int
    within: Share
    """Parts of which all trials said the same."""
    effectiveness: Share
    """Parts of which all trials said what is known."""
    miss: Share
    """Decisions on defective parts that accepted them."""
    false_alarm: Share
    """Decisions on good parts that rejected them."""
    kappa_within: Kappa | None
    kappa_reference: Kappa

    @property
    def grades(self) -> dict[str, Grade]:
        """By the name of the figure in `LIMITS`."""
        return {
            "effectiveness": _at_least(self.effectiveness.value, *LIMITS["effectiveness"]),
            "miss rate": _at_most(self.miss.value, *LIMITS["miss rate"]),
            "false alarm rate": _at_most(self.false_alarm.value, *LIMITS["false alarm rate"]),
        }

    @property
    def grade(self) -> Grade:
        """The worst of the three."""
        return max(self.grades.values(), key=list(Grade).index)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two of them."""

    first: str
    second: str
    kappa: Kappa


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A part of which not everybody said every time what is known."""

    part: KnownPart
    said: tuple[tuple[str, str], ...]
    """Name, and a letter for each trial: A accepted, R rejected."""

    @property
    def is_missed(self) -> bool:
        """A defective part that somebody accepted."""
        return not self.part.good and any("A" in letters for _, letters in self.said)


@dataclass(frozen=True, slots=True)
class Analysis:
    """The whole study as far as it is done."""

    study: Study
    appraisers: tuple[Appraiser, ...]
    """Those with at least one whole trial."""
    pairs: tuple[Pair, ...]
    between: Kappa | None
    """Fleiss, over all trials of everybody; None: there is only one trial of one."""
    all_within: Share | None
    """Parts of which everybody said the same in every trial."""
    all_effective: Share | None
    """Parts of which everybody said in every trial what is known."""
    disagreements: tuple[Disagreement, ...]
    unfinished: tuple[str, ...]
    """Trials that are not whole, and are in no figure; in words."""

    @property
    def grade(self) -> Grade | None:
        """The worst of everybody."""
        return max((each.grade for each in self.appraisers), key=list(Grade).index, default=None)

    @property
    def notes(self) -> list[str]:
        """What has to be known beside the figures."""
        defective = self.study.defective
        said = [
            f"{defective} defective parts were shown: even without a single miss up to "
            f"{percent(most_when_none(defective))} of the defective parts may pass (95 %). With 50 defective parts and "
            f"no miss the bound is still {percent(most_when_none(50))}.",
            "A trial shows the same parts again: bounds of miss rate and false alarm rate count decisions that hang "
            "together as fewer (Korn and Graubard), those of kappa leave out one part after the other.",
        ]
        if any(each.name == STATION for each in self.appraisers):
            said.append("The station accepts with PASS; FAIL and REVIEW reject.")
        return said + self.study.advice + list(self.unfinished)


def analysed(study: Study, ratings: Sequence[Rating]) -> Analysis:
    """The figures of everything that was said."""
    by_name, unfinished = whole_trials(study, ratings)
    reference = np.array([[part.good] for part in study.parts], np.int8)
    appraisers = tuple(_appraiser(name, reference, given) for name, given in by_name.items())
    pairs = tuple(
        Pair(first, second, cohen(by_name[first], by_name[second])) for first, second in combinations(by_name, 2)
    )
    if not by_name:
        return Analysis(study, (), (), None, None, None, (), unfinished)
    everything: Ratings = np.hstack(list(by_name.values()))
    return Analysis(
        study,
        appraisers,
        pairs,
        fleiss(everything),
        share(int(_alike(everything).sum()), len(study.parts)),
        share(int((everything == reference).all(axis=1).sum()), len(study.parts)),
        tuple(_disagreements(study, by_name)),
        unfinished,
    )


def whole_trials(study: Study, ratings: Sequence[Rating]) -> tuple[dict[str, Ratings], tuple[str, ...]]:
    """(ratings (parts, trials) by name, the station first; what is not whole, in words)."""
    said: dict[str, dict[int, dict[str, bool]]] = {}
    for one in ratings:
        said.setdefault(one.appraiser, {}).setdefault(one.trial, {})[one.part] = one.accepted
    names = [part.name for part in study.parts]
    found: dict[str, Ratings] = {}
    unfinished = []
    for name in sorted(said, key=lambda one: (one != STATION, one)):
        columns = []
        for trial, given in sorted(said[name].items()):
            if len(given) < len(names):
                unfinished.append(
                    f"{name}, trial {trial}: {len(given)} of {len(names)} parts, counted in no figure yet"
                )
                continue
            columns.append([given[part] for part in names])
        if columns:
            found[name] = np.array(columns, np.int8).T
    return found, tuple(unfinished)


def percent(value: float) -> str:
    """0.0582: 5.8 %, and 0.0625: 6.3 %, as AIAG prints it."""
    return f"{math.floor(1000 * value + 0.5 + 1e-9) / 10:.1f} %"


def _appraiser(name: str, reference: Ratings, given: Ratings) -> Appraiser:
    parts, trials = given.shape
    is_good = reference[:, 0] == 1
    accepted = given.sum(axis=1)
    return Appraiser(
        name,
        trials,
        share(int(_alike(given).sum()), parts),
        share(int((given == reference).all(axis=1).sum()), parts),
        share_of_decisions([int(count) for count in accepted[~is_good]], trials),
        share_of_decisions([trials - int(count) for count in accepted[is_good]], trials),
        fleiss(given),
        against(reference, given),
    )


def _disagreements(study: Study, by_name: dict[str, Ratings]) -> list[Disagreement]:
    found = []
    for number, part in enumerate(study.parts):
        said = {name: "".join("RA"[int(one)] for one in given[number]) for name, given in by_name.items()}
        if set("".join(said.values())) != {"A" if part.good else "R"}:
            found.append(Disagreement(part, tuple(said.items())))
    return sorted(found, key=lambda one: not one.is_missed)


def _alike(given: Ratings) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return given.min(axis=1) == given.max(axis=1)  # type: ignore[no-any-return]


def _at_least(value: float, good: float, marginal: float) -> Grade:
    return _at_most(-value, -good, -marginal)


def _at_most(value: float, good: float, marginal: float) -> Grade:
    if value <= good:
        return Grade.ACCEPTABLE
    return Grade.MARGINAL if value <= marginal else Grade.UNACCEPTABLE
