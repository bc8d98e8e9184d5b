"""The figures of a report in the language of a page: stored as English sentences, said by these phrases."""

from __future__ import annotations

import re
from functools import lru_cache

from station.hmi.words import Words

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
    "%(parts)s parts; AIAG asks for 50",
    "%(trials)s trials; AIAG asks for 3",
    "%(count)s of %(parts)s parts are good; at least a quarter of each kind says something of both",
    "%(count)s of %(parts)s parts are defective; at least a quarter of each kind says something of both",
    "fewer than a quarter of the parts are marked borderline; easy parts make every inspection look good",
    "AIAG: acceptable with an effectiveness of at least 90 %%, misses of at most 2 %% and false alarms of at most 5 %%"
    "; marginal with 80 %%, 5 %% and 10 %%. Kappa above 0.75 is good, below 0.4 poor.",
)
"""The same as in `station.reports.production.figures` and `station.msa.document`; numbers are places."""
_PLACE = re.compile(r"%\\\((\w+)\\\)s")


def said(text: str, words: Words) -> str:
    """The sentence in the language of `words`; what is no phrase stays as it is: numbers, names, `[review] due_min`."""
    whole = _phrase(text, words)
    if whole is not None:
        return whole
    for mark in ("; ", ", "):
        if mark in text:
            return mark.join(said(piece, words) for piece in text.split(mark))
    return words.gettext(text) if text else text


def _phrase(text: str, words: Words) -> str | None:
    for phrase, pattern in _patterns():
        if found := pattern.fullmatch(text):
            return words.gettext(phrase) % found.groupdict()
    return None


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """A number with its unit fills a place; so one phrase never swallows another."""
    made = []
    for phrase in PHRASES:
        escaped = re.escape(phrase).replace("%%", "%").replace("%%", "%")
        made.append((phrase, re.compile(_PLACE.sub(r"(?P<\1>[-0-9.,]+(?: %)?)", escaped))))
    return made
