"""What engines say is found again in what they wrote, whole and in any order, and nothing else is taken for it."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import said
from engines.bundle.detection import CONTRASTS, KINDS, PLURALS
from engines.bundle.kinds import KindsRecord, kinds_in_words
from engines.bundle.known_defects import said_of, suspects_in_words
from engines.bundle.manifest import KnownDefectsRecord, PossibleVariants, ReviewPrice, Reviews
from engines.bundle.picture_bands import bands_in_words
from engines.bundle.reviews import advice, counted, price_header, price_rows
from engines.said import CATALOGUE
from engines.sentences import MAX_LETTERS, Template
from engines.store.gate import blind_in_words, cost_in_words, images_in_words, in_question
from engines.training.calibration.calibrate import calibrate
from engines.training.refinement.variants import with_variants
from tests.bench.engines.small_engine import detection_of
from tests.bench.places import ROOT


def marked(text: str) -> str:
    """As a language whose every message begins and ends with a mark."""
    return f"«{text}»"


def bare(text: str) -> str:
    """What of a text is not within a message of the catalogue."""
    depth, left = 0, ""
    for letter in CATALOGUE.translated(text, marked):
        depth += {"«": 1, "»": -1}.get(letter, 0)
        left += letter if depth == 0 and letter not in "«»" else ""
    return left.strip(" ;,")


def reviews(**change: object) -> Reviews:
    prices = tuple(
        ReviewPrice(review_budget=budget, review_score=8.0, rejected=0.01, in_review=budget, escaped=escaped)
        for budget, escaped in ((0.03, 3), (0.05, 2), (0.1, 1))
    )
    found = Reviews(chosen_budget=0.1, labelled_defects=30, prices=prices)
    return found.model_copy(update=change)


def known(**change: object) -> KnownDefectsRecord:
    found = KnownDefectsRecord(
        labelled=12, masks=0, weight=0.5, auroc_before=0.9, auroc_after=0.95, passed_before=4, passed_after=2
    )
    return found.model_copy(update=change)


VARIANTS = PossibleVariants(images=(8, 5, 3), rejected_share_if_good=0.11, review_share_if_good=0.2)
BLIND = detection_of(*KINDS[:1])


def everything() -> dict[str, str]:
    """A text of every place that writes some, by what it is."""
    good = [float(each) for each in range(200)]
    limits = calibrate(good, good, 0.01, 0.1, defective_scores=[190.0, 500.0], is_dirty=True)  # type: ignore[arg-type]
    cheap = reviews(prices=tuple(one.model_copy(update={"escaped": 1}) for one in reviews().prices))
    kinds = KindsRecord(
        names=("dent", "scratch, long"), labelled=(3, 4), least_likeness=0.1, left_out=7, right=5, unknown=1
    )
    texts = {
        "promise": limits.promise,
        "promise with variants": with_variants(limits, VARIANTS).promise,
        "counted": counted(reviews()),
        "not counted": counted(reviews(chosen_budget=0.2)),
        "advice, few labels": advice(reviews(labelled_defects=3)),
        "advice, keep": advice(reviews()),
        "advice, narrow": advice(cheap),
        "known defects": said_of(known()),
        "with masks": said_of(known(masks=4)),
        "no change": said_of(known(weight=0)),
        "no change, few": said_of(known(weight=0, passed_after=None)),
        "few": said_of(known(passed_after=None)),
        "suspects": suspects_in_words(known()),
        "suspects, unproven": suspects_in_words(known(passed_after=None)),
        "kinds": kinds_in_words(kinds),
        "kinds, one each": kinds_in_words(kinds.model_copy(update={"left_out": 0})),
        "blind": blind_in_words(BLIND),
        "question": in_question(VARIANTS, ROOT / "nothing"),
        "both questions": f"{said.THE_ENGINE(what=blind_in_words(BLIND))}; {in_question(VARIANTS, ROOT / 'nothing')}",
        "cost": cost_in_words(VARIANTS),
        "alike": images_in_words(VARIANTS),
        "no bands": bands_in_words(None)[0],
        "left out": said.LEFT_OUT(name="a, b was.png", why=said.NOTHING_DIFFERS(number=12)),
        "near miss": said.NEAR_MISS(why=said.FOUND_IN_FEW(count=3, total=9), spread="place", count=6),
        "grey": said.OF_IMAGES(count=2, total=9, what=said.ARE_COLOUR(), names="a.png, b.png"),
    }
    texts |= {f"finds {number}": text for number, text in enumerate(detection_of(*KINDS[:4]).in_words())}
    texts |= {f"finds all {number}": text for number, text in enumerate(detection_of(*KINDS).in_words())}
    texts |= {f"finds none {number}": text for number, text in enumerate(detection_of().in_words())}
    for per_hour in (None, 3600.0):
        header = price_header(reviews(parts_per_hour=per_hour))
        texts |= {f"column {number} {per_hour}": text for number, text in enumerate(header)}
    return texts


@pytest.mark.parametrize("what", everything())
def test_every_sentence_is_found_again_and_nothing_of_it_stays_english(what: str) -> None:
    text = everything()[what]
    assert CATALOGUE.translated(text, str) == text, "in English it is the same"
    assert bare(text) == ""


def test_a_budget_that_is_chosen_is_a_word_and_a_number_is_none() -> None:
    chosen = [row[0] for row in price_rows(reviews())]
    assert [CATALOGUE.translated(text, marked) for text in chosen] == ["0.03", "0.05", "«0.1 (chosen)»"]


def test_lists_of_kinds_are_translated_word_by_word() -> None:
    german = {
        "clear": "deutlich",
        "scratches": "Kratzer",
        "hairs": "Haare",
        "%(kind)s from %(size)s": "%(kind)s ab %(size)s",
        "%(kind)s: finds %(found)s": "%(kind)s: findet %(found)s",
    }
    text = "clear: finds scratches from 12 px, hairs from 0.4 mm"
    said_in_german = CATALOGUE.translated(text, lambda one: german.get(one, one))
    assert said_in_german == "deutlich: findet Kratzer ab 12 px, Haare ab 0.4 mm"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "refresh from 30 recent parts",
        "a name: of somebody",
        "12",
        "spatial, 256 x 256 px",
        "<b>finds</b>",
        "x" * 5000,
    ],
)
def test_what_nobody_of_us_wrote_stays_as_it_is(text: str) -> None:
    assert CATALOGUE.translated(text, marked) == text


def test_a_name_of_others_stays_a_name() -> None:
    text = said.LEFT_OUT(name="scratches.png", why="%(count)s {x} not one of ours")
    assert CATALOGUE.translated(text, str) == text


@given(st.text(max_size=200))
def test_any_text_stays_a_text(text: str) -> None:
    CATALOGUE.translated(text, marked)


def test_a_long_text_of_others_costs_no_time() -> None:
    begin = time.process_time()
    for piece in ("scratches from ", "a was left out: ", "%(x)s; ", "clear: finds ", "1, "):
        CATALOGUE.translated((piece * MAX_LETTERS)[: MAX_LETTERS - 1], marked)
    assert time.process_time() - begin < 20.0


def test_words_of_the_catalogue_are_those_that_engines_use() -> None:
    texts = {one.text for one in vars(said).values() if isinstance(one, Template)}
    assert {*PLURALS.values(), *CONTRASTS} <= texts
    assert len(texts) == len(CATALOGUE.templates), "no text twice"


@pytest.mark.parametrize("file", ["engines/said.py", "station/said.py"])
def test_no_name_of_a_sentence_is_given_twice(file: str) -> None:
    """The second would take the place of the first, whose values it does not know."""
    names = re.findall(r"^([A-Z_0-9]+) = Template", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    assert [name for name, count in Counter(names).items() if count > 1] == []
