"""What a dossier says first: whether the engine may be used, or what to look at before.

Nothing is decided here: what holds an engine back is asked by the gate of the store (`engines.store.gate`). This is put
where somebody reads first.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.bundle.manifest import PossibleVariants
from engines.training.dossier.schema import Dossier, ImageRecord
from engines.training.pages.look import PageVerdict

MOST_FIRST = 8
"""Images that somebody looks at first; the page has the others below."""
PER_VARIANT = 3
DOUBTFUL = 0.75
"""On the scale of people: a removed image below it is near the limit, and may be a good part. 0.75 is as far beyond the
limit as half of the way from there to a typical part."""
MANY_REMOVED = 0.1
"""Of the images: then somebody looks whatever the scores say."""


@dataclass(frozen=True)
class ToLookAt:
    """An image and why somebody should look at it."""

    image: int
    why: str


@dataclass(frozen=True)
class FirstWords:
    """The top of the page."""

    verdict: PageVerdict
    look_at: tuple[ToLookAt, ...]


def first_words(dossier: Dossier) -> FirstWords:
    """What stands on top: a word, why, and the images to look at first."""
    all_of_it = _to_look_at(dossier)
    look_at = all_of_it[:MOST_FIRST]
    blind = dossier.detection is not None and dossier.detection.finds_next_to_nothing
    if blind:
        why = (
            "It finds next to nothing of the defects that were tried. Teach again with sharper or more alike pictures. "
            "Whoever uses it all the same has to say why."
        )
        return FirstWords(PageVerdict("FAIL", "Not yet", (why,)), look_at)
    if dossier.refinement.capped:
        why = (
            "More images look unlike the others than may be left out: it may have learned defects as good. Sort the "
            "images and teach again."
        )
        return FirstWords(PageVerdict("FAIL", "Not yet", (why,)), look_at)
    if look_at:
        head = "Look at this one first" if len(look_at) == 1 else f"Look at these {len(look_at)} first"
        why_look = _why_look(dossier, look_at, len(all_of_it) - len(look_at))
        return FirstWords(PageVerdict("REVIEW", head, why_look), look_at)
    notes = len(dossier.warnings)
    read = () if not notes else (f"Read the {'note' if notes == 1 else f'{notes} notes'} below, too.",)
    gone = len([image for image in dossier.refinement.removed if image not in dossier.refinement.known_bad])
    clear = f"{_images(gone)} left out: each looks clearly unlike the others. They stand below." if gone else ""
    return FirstWords(PageVerdict("PASS", "May be used", (*((clear,) if clear else ()), *read)), ())


def _images(count: int) -> str:
    return "1 image was" if count == 1 else f"{count} images were"


def _why_look(dossier: Dossier, shown: tuple[ToLookAt, ...], more: int) -> tuple[str, ...]:
    found = dossier.possible_variants
    if is_open(found):
        said = "Somebody has to say what they are before it may be used."
    elif any(dossier.images[one.image].fate == "removed" for one in shown):
        said = (
            "It was left out as unlike the others. If that is right, the engine may be used; else take it back."
            if len(shown) == 1
            else "They were left out as unlike the others. If that is right, it may be used; else take good ones back."
        )
    elif len(shown) == 1:
        said = "It was learned because you called it good. If it is, the engine may be used."
    else:
        said = "They were learned because you called them good. If they are, it may be used."
    return (said, f"{more} more stand below.") if more > 0 else (said,)


def is_open(found: PossibleVariants | None) -> bool:
    """Whether somebody has to decide about images that look alike."""
    return found is not None and found.answer is None


def _to_look_at(dossier: Dossier) -> tuple[ToLookAt, ...]:
    """All of them, the most important first; each image once."""
    refinement = dossier.refinement
    said: dict[int, str] = {}
    if is_open(dossier.possible_variants):
        for group in refinement.variants:
            why = f"Looks like {len(group) - 1} others and unlike the rest: another kind of good part, or a defect?"
            said |= {image: why for image in group[:PER_VARIANT] if image not in said}
    for image in sorted((one for one in dossier.images if one.protected), key=lambda one: -one.final_score):
        said.setdefault(image.id, "You called it good, and it looks unlike the others: is it good?")
    judged = [
        dossier.images[image] for image in refinement.removed if dossier.images[image].removed_in_round is not None
    ]
    alike = {image for group in refinement.variants for image in group}
    many = len(judged) > MANY_REMOVED * len(dossier.images)
    for image in sorted(judged, key=_final):
        doubtful = _final(image) < DOUBTFUL
        if image.id not in alike and (many or doubtful):
            near = "Left out, though not far from the good ones: is it a good part?"
            said.setdefault(image.id, near if doubtful else "Left out as unlike the others: is it a defect?")
    return tuple(ToLookAt(image, why) for image, why in said.items())


def _final(image: ImageRecord) -> float:
    """Its score by the final models, 0 to 1: those of the first rounds have seen all dirt. 0 where it is not known."""
    return next((shown for shown in (image.final_shown, image.removal_shown) if shown is not None), 0.0)
