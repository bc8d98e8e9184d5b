"""A report in the language of its reader: what is stored is English, and said by these words and phrases.

Figures, rows and notes stand in the data of a report as English sentences; numbers in them are places of a phrase.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from station.said import CATALOGUE

PHRASES = (
    "at least %(share)s",
    "%(share)s in the samples",
    "%(low)s to %(high)s, kappa %(least)s to %(most)s",
    "%(low)s to %(high)s",
    "%(count)s of %(seen)s sampled",
    "at most %(share)s",
    "of these %(parts)s parts at most %(count)s are defective",
    "%(count)s of %(parts)s parts",
    "%(count)s parts",
    "%(count)s gaps",
    "%(share)s found",
    "%(count)s defects in %(runs)s challenges",
    "%(count)s defects",
    "synthetic defects that were found in good pictures of this time",
    "none in this time: [monitoring] virtual_challenge_min",
    "%(count)s decisions",
    "%(seen)s of %(parts)s PASS",
    "%(seen)s of %(parts)s FAIL",
    "%(seen)s of %(parts)s REVIEW",
    "%(count)s REVIEW",
    "%(count)s decisions an hour",
    "%(count)s min for 1,000 parts",
    "median %(median)s min",
    "90 %% within %(high)s min",
    "deadline %(ms)s ms",
    "nobody has looked at parts that passed: page Review",
    "nobody has looked at parts that failed: page Review",
    "nobody has looked at parts that are in REVIEW: page Review",
    "no defective part was found in the samples",
    "no good part was found in the samples",
    "defective parts that were rejected",
    "good parts that were rejected",
    "over strata",
    "20,000 draws",
    "one-sided 95 %%",
    "hypergeometric",
    "counted",
    "came while the station was not ready: counted",
    "trigger to trigger",
    "trigger to result",
    "as it is configured now",
    "parts of this period",
    "counted now",
    "from the queue to the first decision",
    "nobody decided: treated as FAIL",
    "no label",
    "no two people have decided the same part blindly: [review] blind_share",
    "blind pairs",
    "image of what did not pass",
    "what is missing is listed",
    "row",
    "engine",
    "settings",
    "which engine judged it",
    "the settings it was judged by",
    "its image",
    "without a class",
    "Labels see what the camera sees: a defect that no picture shows is in none of these figures. Parts that were "
    "treated as FAIL because nobody decided count as rejected, and not as defective.",
    # of agreement studies
    "%(count)s of %(of)s parts right in all trials",
    "%(count)s of %(of)s parts alike in all trials",
    "%(count)s of %(of)s decisions on defective parts",
    "%(count)s of %(of)s decisions on good parts",
    "acceptable by the table of AIAG",
    "marginal by the table of AIAG",
    "unacceptable by the table of AIAG",
    "effectiveness %(share)s",
    "miss rate %(share)s",
    "false alarm rate %(share)s",
    "what is known",
    "its trials",
    "all trials",
    "everybody",
    "station",
    "%(count)s defective parts were shown: even without a single miss up to %(most)s of the defective parts may pass "
    "(95 %%). With 50 defective parts and no miss the bound is still 5.8 %%.",
    "A trial shows the same parts again: bounds of miss rate and false alarm rate count decisions that hang together "
    "as fewer (Korn and Graubard), those of kappa leave out one part after the other.",
    "The station accepts with PASS; FAIL and REVIEW reject.",
    "trial %(number)s: %(count)s of %(parts)s parts",
    "trial %(number)s",
    "counted in no figure yet",
    "score %(number)s",
    "map",
    "borderline",
    "nobody named",
    "%(parts)s parts; AIAG asks for 50",
    "%(trials)s trials; AIAG asks for 3",
    "%(count)s of %(parts)s parts are good; at least a quarter of each kind says something of both",
    "%(count)s of %(parts)s parts are defective; at least a quarter of each kind says something of both",
    "fewer than a quarter of the parts are marked borderline; easy parts make every inspection look good",
    "AIAG: acceptable with an effectiveness of at least 90 %%, misses of at most 2 %% and false alarms of at most 5 %%"
    "; marginal with 80 %%, 5 %% and 10 %%. Kappa above 0.75 is good, below 0.4 poor.",
)
"""The same as in `station.reports.production.figures` and `station.msa.document`; numbers are places."""
HEADINGS: Final[Mapping[str, str]] = {
    "all": "All figures",
    "why": "Why parts did not pass",
    "passed": "Every part passed.",
    "called": "What people called the defects",
    "nobody": "Nobody has called a part defective.",
    "trend": "Rejected and in review over time",
    "maps": "Where the station saw something",
    "no_maps": "No region is on record for these parts.",
    "missing": "What is missing",
    "whole": "Nothing: every part has its row, engine, settings and image.",
    "made": "Made from",
    # of agreement studies
    "figures": "Figures",
    "chance": "Agreement beyond chance",
    "apart": "Parts they disagree on",
    "none_apart": "None: everybody said every time what is known.",
    "no_picture": "No picture is on record.",
    "part": "Part",
}
"""Of the files, by what stands below them."""
COLUMNS: Final = (
    "figure", "value", "interval", "of", "how it was got", "class", "severity", "parts", "what is missing", "part",
    "appraiser", "exact 95 %", "Wilson 95 %", "AIAG", "who", "kappa", "95 %",
    "table: rejected both, first, second, accepted both", "kind", "disagreement",
)  # fmt: skip
STUDY_TITLE: Final = "Attribute agreement"
STUDY_PLANNED: Final = (
    "%(parts)s parts, %(defective)s of them defective, %(trials)s trials; planned %(time)s by %(name)s"
)
_PLACE = re.compile(r"%\\\((\w+)\\\)s")
_CODE = re.compile(r"[a-z]{2,3}(?![a-z])")


@dataclass(frozen=True, slots=True)
class Language:
    """Says what a report holds. Whoever makes the report knows where the texts of a language lie."""

    code: str = "en"
    gettext: Callable[[str], str] = str
    """From an English text to the same in this language."""

    @property
    def tag(self) -> str:
        """For HTML, as `pt-BR`."""
        return self.code.replace("_", "-")

    @property
    def short(self) -> str:
        """For Typst, which takes two or three letters."""
        found = _CODE.match(self.code)
        return found.group() if found else "en"

    @property
    def headings(self) -> dict[str, str]:
        """`HEADINGS` in this language."""
        return {name: self.word(text) for name, text in HEADINGS.items()}

    def word(self, text: str) -> str:
        """A text that stands as it is in the file of the language: a heading, the name of a figure."""
        return self.gettext(text) if text else ""

    def words(self, texts: Iterable[str]) -> list[str]:
        """The same of several: the head of a table."""
        return [self.word(text) for text in texts]

    def sentence(self, text: str) -> str:
        """What `station.said` has written; what others wrote stays as it is."""
        return CATALOGUE.translated(text, self.gettext)

    def figure(self, text: str) -> str:
        """What stands in a figure; what is no phrase stays as it is: numbers, names, `[review] due_min`."""
        for phrase, pattern in _patterns():
            if found := pattern.fullmatch(text):
                return self.gettext(phrase) % found.groupdict()
        whole = self.word(text)
        for mark in ("; ", ", ") if whole == text else ():
            if mark in text:
                return mark.join(self.figure(piece) for piece in text.split(mark))
        return whole


ENGLISH: Final = Language()


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """A number with its unit fills a place; so one phrase never swallows another."""
    made = []
    for phrase in PHRASES:
        escaped = re.escape(phrase).replace("%%", "%").replace("%%", "%")
        made.append((phrase, re.compile(_PLACE.sub(r"(?P<\1>[-0-9.,]+(?: %)?)", escaped))))
    return made
