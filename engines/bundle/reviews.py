"""The price of reviews in words: one table and one advice for teaching, `station engine show` and the dossier."""

from __future__ import annotations

from engines import said
from engines.bundle.manifest import ReviewPrice, Reviews

NARROW_BUDGET = 0.03
"""Of a product that is known: the advice goes no further down."""
LABELS_TO_NARROW = 22
"""Labelled defects, none of which passes more: then at most one defect in ten does, with 90 % confidence
(1 - 0.1 ** (1 / 22) = 0.0994)."""


def price_header(reviews: Reviews) -> tuple[str, ...]:
    """The columns of `price_rows`."""
    per_hour = f"{reviews.parts_per_hour:g}" if reviews.parts_per_hour else ""
    good = (
        (said.REJECTED_PER_HOUR(number=per_hour), said.IN_REVIEW_PER_HOUR(number=per_hour))
        if per_hour
        else (said.REJECTED_OF_1000(), said.IN_REVIEW_OF_1000())
    )
    labelled = reviews.labelled_defects
    return (said.REVIEW_BUDGET(), *good, *((said.DEFECTS_PASS(count=labelled),) if labelled else ()))


def price_rows(reviews: Reviews) -> list[tuple[str, ...]]:
    """One row for each budget. Good parts are counted on images held out from the limits, defects at the limits."""
    parts = reviews.parts_per_hour or 1000

    def row(price: ReviewPrice) -> tuple[str, ...]:
        budget = f"{price.review_budget:.3g}"
        is_chosen = price.review_budget == reviews.chosen_budget
        good = (
            said.NOT_COUNTABLE() if share is None else f"{parts * share:.3g}"
            for share in (price.rejected, price.in_review)
        )
        defects = (str(price.escaped),) if reviews.labelled_defects else ()
        return (said.CHOSEN(number=budget) if is_chosen else budget, *good, *defects)

    return [row(price) for price in reviews.prices]


def counted(reviews: Reviews) -> str:
    """What happened to good images at limits drawn without them, beside the promise."""
    price = _at(reviews, reviews.chosen_budget)
    if price is None or price.rejected is None or price.in_review is None:
        return said.TOO_FEW_TO_COUNT()
    return said.COUNTED(rejected=f"{1000 * price.rejected:.3g}", in_review=f"{1000 * price.in_review:.3g}")


def advice(reviews: Reviews) -> str:
    """Whether the review band may be narrowed; empty where it is narrow already.

    The rule: the smallest budget from 3 % on at which no labelled defect passes that the chosen budget catches, when
    at least 22 are labelled.
    """
    chosen = _at(reviews, reviews.chosen_budget)
    narrower = [each for each in reviews.prices if NARROW_BUDGET <= each.review_budget < reviews.chosen_budget]
    if chosen is None or not narrower:
        return ""
    labelled = reviews.labelled_defects
    if labelled < LABELS_TO_NARROW:
        return said.LABELS_TO_NARROW(
            count=labelled, total=LABELS_TO_NARROW, number=NARROW_BUDGET, other_number=f"{reviews.chosen_budget:.3g}"
        )
    safe = next((each for each in narrower if each.escaped == chosen.escaped), None)
    if safe is None:
        least = narrower[-1]
        more = (least.escaped or 0) - (chosen.escaped or 0)
        return said.KEEP_THE_BUDGET(number=f"{least.review_budget:.3g}", count=more, total=labelled)
    share = f"{1 - 0.1 ** (1 / labelled):.0%}"
    return said.MAY_BE_NARROWED(number=f"{safe.review_budget:.3g}", count=labelled, share=share)


def _at(reviews: Reviews, budget: float) -> ReviewPrice | None:
    return next((each for each in reviews.prices if each.review_budget == budget), None)
