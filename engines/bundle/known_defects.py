"""What labelled defects and suspects changed, in words, for teaching, `station engine show`, dossier and comparison."""

from __future__ import annotations

from engines import said
from engines.bundle.manifest import KnownDefectsRecord


def said_of(known: KnownDefectsRecord) -> str:
    """How much the labelled defects count, and what that is worth on images that were left out."""
    what = (
        said.LABELLED_WITH_MASKS(count=known.labelled, total=known.masks)
        if known.masks
        else said.LABELLED(count=known.labelled)
    )
    if known.passed_after is None or known.auroc_after is None:
        if known.weight == 0:
            return said.CHANGE_NO_SCORE(what=what)
        return said.TOO_FEW_TO_LEAVE_OUT(what=what, number=f"{known.weight:g}")
    if known.weight == 0:
        return said.NONE_IS_RANKED_BETTER(what=what)
    return said.KNOWN_DEFECTS(
        what=what,
        number=f"{known.weight:g}",
        count=known.passed_after,
        total=known.labelled,
        before=known.passed_before,
        after_auroc=f"{known.auroc_after:.3f}",
        before_auroc=f"{known.auroc_before:.3f}",
    )


def suspects_in_words(suspects: KnownDefectsRecord) -> str:
    """What images that were left out stand for, and what that is worth on those that were left out once more."""
    words = said.SUSPECTS(count=suspects.labelled, number=f"{suspects.weight:g}")
    if suspects.passed_after is None:
        return words
    left_out = said.SUSPECTS_FIND_EACH_OTHER(
        count=suspects.passed_after, total=suspects.labelled, before=suspects.passed_before
    )
    return f"{words} {left_out}"
