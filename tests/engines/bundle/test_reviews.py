"""The price of reviews in words, and when the band may be narrowed."""

from __future__ import annotations

from engines.bundle.manifest import ReviewPrice, Reviews
from engines.bundle.reviews import advice, counted, price_header, price_rows


def reviews(*escaped: int | None, labelled: int = 0, chosen: float = 0.1, per_hour: float | None = None) -> Reviews:
    """With 1, 3, 5 and 10 % and these escapes."""
    budgets = (0.01, 0.03, 0.05, 0.1)
    prices = tuple(
        ReviewPrice(
            review_budget=budget, review_score=2 - budget, rejected=0.005, in_review=0.6 * budget, escaped=count
        )
        for budget, count in zip(budgets, escaped, strict=True)
    )
    return Reviews(chosen_budget=chosen, parts_per_hour=per_hour, labelled_defects=labelled, prices=prices)


def test_the_price_is_shown_at_the_rate_of_the_line() -> None:
    priced = reviews(9, 7, 5, 4, labelled=12, per_hour=3600.0)
    assert price_header(priced) == (
        "review budget",
        "good parts rejected per hour (3600 parts)",
        "good parts in review per hour (3600 parts)",
        "of 12 labelled defects pass",
    )
    assert price_rows(priced)[1] == ("0.03", "18", "64.8", "7")
    assert price_rows(priced)[3] == ("0.1 (chosen)", "18", "216", "4")


def test_without_rate_and_labels_it_counts_parts_of_a_thousand() -> None:
    priced = reviews(None, None, None, None)
    assert price_header(priced)[2:] == ("good parts in review of 1000",)
    assert price_rows(priced)[3] == ("0.1 (chosen)", "5", "60")
    assert "5 are rejected and 60 in review" in counted(priced)
    nothing = tuple(price.model_copy(update={"rejected": None, "in_review": None}) for price in priced.prices)
    uncounted = priced.model_copy(update={"prices": nothing})
    assert price_rows(uncounted)[0][1:] == ("not countable", "not countable")
    assert counted(uncounted) == "too few images to count what good parts cost"


def test_the_band_is_narrowed_when_labels_show_that_nothing_more_passes() -> None:
    assert advice(reviews(5, 2, 2, 2, labelled=22)).startswith("--review-budget 0.03 lets none of 22")
    assert "at most 10% more" in advice(reviews(5, 2, 2, 2, labelled=22))
    assert advice(reviews(5, 3, 2, 2, labelled=40)).startswith("--review-budget 0.05 lets none of 40")
    assert advice(reviews(5, 4, 3, 2, labelled=40)) == (
        "keep the budget: with --review-budget 0.05 1 of 40 defects more pass"
    )
    assert advice(reviews(5, 2, 2, 2, labelled=21)).startswith("21 labelled defects: from 22 on")
    assert advice(reviews(2, 2, 2, 2, labelled=40, chosen=0.03)) == ""
