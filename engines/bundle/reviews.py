"""The price of reviews in words: one table and one advice for teaching, `station engine show` and the dossier."""

from __future__ import annotations

from engines.bundle.manifest import ReviewPrice, Reviews

NARROW_BUDGET = 0.03
"""Of a product that is known: the advice goes no further down."""
LABELS_TO_NARROW = 22
"""Labelled defects, none of which passes more: then at most one defect in ten does, with 90 % confidence
(1 - 0.1 ** (1 / 22) = 0.0994)."""
_UNCOUNTED = "not countable"


def price_header(reviews: Reviews) -> tuple[str, ...]:
    """The columns of `price_rows`."""
    per = f"per hour ({reviews.parts_per_hour:g} parts)" if reviews.parts_per_hour else "of 1000"
    columns = ("review budget", f"good parts rejected {per}", f"good parts in review {per}")
    return (*columns, f"of {reviews.labelled_defects} labelled defects pass") if reviews.labelled_defects else columns


def price_rows(reviews: Reviews) -> list[tuple[str, ...]]:
    """One row for each budget. Good parts are counted on images held out from the limits, defects at the limits."""
    parts = reviews.parts_per_hour or 1000

    def row(price: ReviewPrice) -> tuple[str, ...]:
        chosen = " (chosen)" if price.review_budget == reviews.chosen_budget else ""
        good = (_UNCOUNTED if share is None else f"{parts * share:.3g}" for share in (price.rejected, price.in_review))
        defects = (str(price.escaped),) if reviews.labelled_defects else ()
        return (f"{price.review_budget:.3g}{chosen}", *good, *defects)

    return [row(price) for price in reviews.prices]


def counted(reviews: Reviews) -> str:
    """What happened to good images at limits drawn without them, beside the promise."""
    price = _at(reviews, reviews.chosen_budget)
    if price is None or price.rejected is None or price.in_review is None:
        return "too few images to count what good parts cost"
    return (
        f"of 1000 good images, held against limits drawn without them, {1000 * price.rejected:.3g} are rejected and "
        f"{1000 * price.in_review:.3g} in review"
    )


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
        return (
            f"{labelled} labelled defects: from {LABELS_TO_NARROW} on they show whether --review-budget "
            f"{NARROW_BUDGET} lets more pass than {reviews.chosen_budget:.3g}"
        )
    safe = next((each for each in narrower if each.escaped == chosen.escaped), None)
    if safe is None:
        least = narrower[-1]
        more = (least.escaped or 0) - (chosen.escaped or 0)
        return f"keep the budget: with --review-budget {least.review_budget:.3g} {more} of {labelled} defects more pass"
    return (
        f"--review-budget {safe.review_budget:.3g} lets none of {labelled} labelled defects more pass; of all, at most "
        f"{1 - 0.1 ** (1 / labelled):.0%} more (90 % confidence)"
    )


def _at(reviews: Reviews, budget: float) -> ReviewPrice | None:
    return next((each for each in reviews.prices if each.review_budget == budget), None)
