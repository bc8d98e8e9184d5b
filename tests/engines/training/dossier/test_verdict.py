"""What a dossier says first, and which images somebody is asked to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engines.bundle.detection import KINDS
from engines.bundle.manifest import PossibleVariants
from engines.training.dossier.schema import Dossier
from engines.training.dossier.verdict import MOST_FIRST, first_words
from tests.bench.engines.small_engine import detection_of
from tests.bench.engines.small_training import SmallTraining


def dossier_of(training: SmallTraining | None = None, *, alike: bool = False, **change: Any) -> Dossier:
    """`alike`: with the group of images that look alike."""
    found = (training or SmallTraining()).collect()
    if not alike:
        change["refinement"] = found.refinement.model_copy(update={"variants": (), **change.pop("refined", {})})
    return found.model_copy(update=change)


def test_clean_images_may_be_used() -> None:
    first = first_words(dossier_of(SmallTraining(dirty=(), masked=())))
    assert (first.verdict.state, first.verdict.head, first.look_at) == ("PASS", "May be used", ())


def test_what_was_left_out_and_looks_clearly_different_is_said_and_not_asked() -> None:
    first = first_words(dossier_of())
    assert (first.verdict.state, first.look_at) == ("PASS", ())
    assert "4 images were left out: each looks clearly unlike the others" in first.verdict.why[0]


def test_images_near_the_limit_come_first_and_at_most_eight() -> None:
    training = SmallTraining(dirty=tuple(range(12)))
    found = dossier_of(training)
    images = [
        image.model_copy(update={"final_shown": 0.51 + 0.01 * image.id}) if image.id < 12 else image
        for image in found.images
    ]
    first = first_words(found.model_copy(update={"images": tuple(images)}))
    assert (first.verdict.state, first.verdict.head) == ("REVIEW", "Look at these 8 first")
    assert [one.image for one in first.look_at] == list(range(MOST_FIRST))
    assert "is it a good part?" in first.look_at[0].why
    assert first.verdict.why[-1] == "4 more stand below."


def test_many_that_were_left_out_are_looked_at_whatever_their_scores() -> None:
    first = first_words(dossier_of(SmallTraining(dirty=tuple(range(10)))))
    assert first.verdict.state == "REVIEW"
    assert {one.why for one in first.look_at} == {"Left out as unlike the others: is it a defect?"}


def test_a_question_stands_before_everything_else() -> None:
    variants = PossibleVariants(images=(2,), rejected_share_if_good=0.1, review_share_if_good=0.2)
    training = SmallTraining(known_good=(11,))
    first = first_words(dossier_of(training, alike=True, possible_variants=variants))
    assert first.verdict.why == ("Somebody has to say what they are before it may be used.",)
    assert [one.image for one in first.look_at] == [40, 18, 11]
    assert "another kind of good part, or a defect?" in first.look_at[0].why
    assert "You called it good" in first.look_at[2].why
    answered = variants.model_copy(update={"answer": "remove"})
    after = first_words(dossier_of(training, alike=True, possible_variants=answered))
    assert (after.verdict.head, [one.image for one in after.look_at]) == ("Look at this one first", [11])


@pytest.mark.parametrize("why", ["blind", "capped"])
def test_an_engine_that_is_of_no_use_is_no(why: str) -> None:
    found = dossier_of(detection=detection_of(*KINDS[:1])) if why == "blind" else dossier_of(refined={"capped": True})
    first = first_words(found)
    assert (first.verdict.state, first.verdict.head) == ("FAIL", "Not yet")


def test_notes_are_pointed_at() -> None:
    training = replace(SmallTraining(dirty=(), masked=()), extra={"warnings": ("a", "b")})
    assert first_words(dossier_of(training)).verdict.why == ("Read the 2 notes below, too.",)
