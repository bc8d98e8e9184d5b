"""What labelled defects changed, in words: one sentence for teaching, `station engine show`, dossier and comparison."""

from __future__ import annotations

from engines.bundle.manifest import KnownDefectsRecord


def said_of(known: KnownDefectsRecord) -> str:
    """How much the labelled defects count, and what that is worth on images that were left out."""
    masks = f", {known.masks} with a mask" if known.masks else ""
    what = f"{known.labelled} labelled{masks}"
    if known.passed_after is None or known.auroc_after is None:
        if known.weight == 0:
            return f"{what}: they change no score"
        return f"{what}: weight {known.weight:g}; too few to leave some out, so what it changes is not known"
    if known.weight == 0:
        return f"{what}: they change no score, since none is ranked better by what the others teach"
    return (
        f"{what}: weight {known.weight:g}. Each left out with its twins, {known.passed_after} of {known.labelled} "
        f"pass ({known.passed_before} without labels), AUROC {known.auroc_after:.3f} ({known.auroc_before:.3f})"
    )
