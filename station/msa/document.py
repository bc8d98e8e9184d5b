"""The study as rows for every kind of file: said once, for page, PDF and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from station import said
from station.msa.analysis import GOOD_KAPPA, LIMITS, POOR_KAPPA, Analysis, Appraiser, percent
from station.msa.bounds import Share
from station.msa.statistics import Kappa
from station.reports.production.language import STUDY_PLANNED, STUDY_TITLE, Language
from station.reports.shifts import Calendar
from station.results import Pixels
from station.terminal import one_line

FIGURES = ("appraiser", "figure", "value", "exact 95 %", "Wilson 95 %", "of", "AIAG")
AGREEMENT = ("who", "kappa", "95 %", "table: rejected both, first, second, accepted both", "AIAG")
DISAGREED = ("part", "known to be", "said (A accepted, R rejected)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a part of the study."""

    caption: str
    image: Pixels
    """RGB."""


Picture = Callable[[str], Sequence[Shown]]
"""Looks up what there is to see of a part, by its name."""


def title(found: Analysis, language: Language) -> str:
    """Of the document."""
    return one_line(f"{language.word(STUDY_TITLE)}: {found.study.name}")


def subtitle(found: Analysis, calendar: Calendar, station: str, language: Language) -> str:
    """What was studied, and when it was planned by whom."""
    study = found.study
    recipe = f", {language.sentence(said.OF_RECIPE(name=study.recipe))}" if study.recipe else ""
    planned = language.word(STUDY_PLANNED) % {
        "parts": len(study.parts),
        "defective": study.defective,
        "trials": study.trials,
        "time": calendar.in_words(study.made_at, "min"),
        "name": study.made_by or language.word("nobody named"),
    }
    return one_line(f"{station}{recipe}: {planned}, seed {study.seed}")


def notes(found: Analysis, language: Language) -> list[str]:
    """What has to be known beside the figures, the limits of the grades first."""
    return [one_line(language.figure(note)) for note in (limits_in_words(), *found.notes)]


def in_language(rows: Iterable[Sequence[str]], language: Language) -> list[list[str]]:
    """Rows of any of the tables below, each cell in one line."""
    return [[one_line(language.figure(cell)) for cell in row] for row in rows]


def verdict(found: Analysis) -> str:
    """The first sentence."""
    grade = found.grade
    if grade is None:
        return "No trial is whole yet: nothing can be said."
    worst = [each for each in found.appraisers if each.grade is grade]
    why = [f"{each.name}, {_why(each)}" for each in worst] if grade.value != "acceptable" else []
    return "; ".join([f"{grade.value} by the table of AIAG", *why])


def figures(found: Analysis) -> list[tuple[str, ...]]:
    """Rows of `FIGURES`."""
    rows: list[tuple[str, ...]] = []
    for each in found.appraisers:
        grades = {name: grade.value for name, grade in each.grades.items()}
        for name, one, of in (
            ("effectiveness", each.effectiveness, "parts right in all trials"),
            ("miss rate", each.miss, "decisions on defective parts"),
            ("false alarm rate", each.false_alarm, "decisions on good parts"),
            ("agrees with itself", each.within, "parts alike in all trials"),
        ):
            rows.append((each.name, name, *_share(one), f"{one.count} of {one.of} {of}", grades.get(name, "")))
    for name, whole in (("agree with each other", found.all_within), ("right, all of them", found.all_effective)):
        if whole is not None and len(found.appraisers) > 1:
            rows.append(("everybody", name, *_share(whole), f"{whole.count} of {whole.of} parts", ""))
    return rows


def agreement(found: Analysis) -> list[tuple[str, ...]]:
    """Rows of `AGREEMENT`."""
    rows = [_kappa(f"{each.name}, what is known, Cohen", each.kappa_reference) for each in found.appraisers]
    rows += [_kappa(f"{pair.first}, {pair.second}, Cohen", pair.kappa) for pair in found.pairs]
    rows += [
        _kappa(f"{each.name}, its trials, Fleiss", each.kappa_within)
        for each in found.appraisers
        if each.kappa_within is not None
    ]
    if found.between is not None and len(found.appraisers) > 1:
        rows.append(_kappa("everybody, all trials, Fleiss", found.between))
    return rows


def disagreements(found: Analysis) -> list[tuple[str, str, str]]:
    """Rows of `DISAGREED`, defective parts that were accepted first."""
    return [
        (
            one.part.name,
            one.part.in_words + (", borderline" if one.part.borderline else ""),
            "; ".join(f"{name} {letters}" for name, letters in one.said),
        )
        for one in found.disagreements
    ]


def limits_in_words() -> str:
    """AIAG's table and what kappa says."""
    (good, fair), (miss, most_miss), (alarm, most_alarm) = LIMITS.values()
    return (
        f"AIAG: acceptable with an effectiveness of at least {100 * good:g} %, misses of at most {100 * miss:g} % and "
        f"false alarms of at most {100 * alarm:g} %; marginal with {100 * fair:g} %, {100 * most_miss:g} % and "
        f"{100 * most_alarm:g} %. Kappa above {GOOD_KAPPA:g} is good, below {POOR_KAPPA:g} poor."
    )


def _why(one: Appraiser) -> str:
    values = {"effectiveness": one.effectiveness, "miss rate": one.miss, "false alarm rate": one.false_alarm}
    return ", ".join(
        f"{name} {percent(values[name].value)}" for name, grade in one.grades.items() if grade is one.grade
    )


def _share(one: Share) -> tuple[str, str, str]:
    return percent(one.value), _span(one.exact), _span(one.wilson)


def _span(bounds: tuple[float, float]) -> str:
    return f"{percent(bounds[0])} to {percent(bounds[1])}"


def _kappa(who: str, one: Kappa) -> tuple[str, ...]:
    (both_no, first_no), (second_no, both_yes) = one.table or ((0, 0), (0, 0))
    cells = f"{both_no}, {first_no}, {second_no}, {both_yes}" if one.table else ""
    grade = "good" if one.value > GOOD_KAPPA else "poor" if one.value < POOR_KAPPA else "in between"
    return who, f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}", cells, grade
