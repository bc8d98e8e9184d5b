"""What a person has to say before an engine may become the active one: one gate for shell, daemon and pages.

`EngineStore.activate` asks it, so whoever activates an engine gets the same questions. The answer stands in the reason
of the activation: in the history of the store, and from there in the audit log. It holds for that version from then on,
so a PLC may activate what a person has answered for. Going back never asks: that engine was active.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines import said as said_of
from engines.bundle.detection import Detection
from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.manifest import Manifest, PossibleVariants, VariantsAnswer
from engines.errors import StoreError
from engines.store.history import Event
from engines.store.versions import Version

FINDS_LITTLE = "finds next to nothing"
ARE_DEFECTS = "possible variants are defects"
WERE_LEARNED = "possible variants are good parts and were learned"
"""How the answer begins in the history."""


class OpenQuestion(StoreError):
    """A person has to answer before this engine is used; the message says what and how."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the person who activates an engine says to its questions."""

    variants: VariantsAnswer | None = None
    """Of `Manifest.possible_variants`; None: nothing."""
    why: str = ""
    """The reason to use an engine that finds next to nothing."""


NOTHING_SAID = Said()


def answered(manifest: Manifest, events: Sequence[Event], version: Version, said: Said) -> str:
    """The answer in words, for the history; empty when this version has no question.

    Raises:
        OpenQuestion: says what to look at and how to answer.
    """
    return "; ".join(
        text for text in (_sees(manifest, events, version, said), _variants(manifest, events, version, said)) if text
    )


def _sees(manifest: Manifest, events: Sequence[Event], version: Version, said: Said) -> str:
    found = manifest.detection
    if found is None or not found.finds_next_to_nothing:
        return ""
    said_before = any(event.after == version.name and FINDS_LITTLE in event.why for event in events)
    if said.why.strip() or said_before:
        return FINDS_LITTLE
    raise OpenQuestion(f"version {version.name} {blind_in_words(found)}")


def _variants(manifest: Manifest, events: Sequence[Event], version: Version, said: Said) -> str:
    found = manifest.possible_variants
    if found is None:
        return ""
    if found.answer == "keep":
        return f"{WERE_LEARNED}: {images_in_words(found)}"
    said_before = any(event.after == version.name and ARE_DEFECTS in event.why for event in events)
    variants = said.variants or found.answer or ("remove" if said_before else None)
    if variants == "remove":
        return f"{ARE_DEFECTS}: {images_in_words(found)}"
    raise OpenQuestion(f"version {version.name}: {in_question(found, version.path)}")


def question(manifest: Manifest, folder: Path, said: Said = NOTHING_SAID) -> str:
    """What a person has to be asked before the engine in `folder` is used; empty: nothing, or `said` has it."""
    found, sees = manifest.possible_variants, manifest.detection
    is_open = found is not None and found.answer is None and said.variants != "remove"
    asked = [] if found is None or not is_open else [in_question(found, folder)]
    if sees is not None and sees.finds_next_to_nothing and not said.why.strip():
        asked.insert(0, said_of.THE_ENGINE(what=blind_in_words(sees)))
    return "; ".join(asked)


def blind_in_words(found: Detection) -> str:
    """What an engine that finds next to nothing does not see, and what to do."""
    return said_of.FINDS_NOTHING(found="; ".join(found.in_words()))


def in_question(found: PossibleVariants, folder: Path) -> str:
    """The question about these images, with where to look and how to answer."""
    page = folder / DOSSIER_FOLDER / "dossier.html"
    where = str(page) if page.is_file() else said_of.THE_DOSSIER()
    return said_of.VARIANTS_QUESTION(alike=images_in_words(found), cost=cost_in_words(found), page=where)


def cost_in_words(found: PossibleVariants) -> str:
    """What it means to leave them out by mistake."""
    return said_of.COST(share=f"{found.rejected_share_if_good:.1%}")


def images_in_words(found: PossibleVariants) -> str:
    """`8 images that look alike`, or of several groups `8 and 5 images that look alike`."""
    *first, last = [str(count) for count in found.images]
    return said_of.ALIKE(counts=f"{', '.join(first)} and {last}" if first else last)
