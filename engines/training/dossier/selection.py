"""Which images a dossier shows. All are listed in `dossier.json`; pictures are bounded."""

from __future__ import annotations

from dataclasses import dataclass

from engines.training.dossier.schema import Dossier, ImageRecord
from engines.training.dossier.verdict import first_words

MAX_REMOVED = 60
"""Pictures of removed images, shared evenly by the rounds."""
MAX_SUSPECTS = 40
"""A person is asked to look at them, whatever else of their round has a picture."""
MAX_NEAR = 12
"""On each side of the limit."""
MAX_PROTECTED = 12
MAX_MASKED = 12
MAX_VARIANTS = 8
MAX_PER_VARIANT = 6


@dataclass(frozen=True)
class RemovedGroup:
    """The images that left in one round, or before the first one."""

    round_number: int | None
    """None: known bad."""
    shown: tuple[int, ...]
    """With a picture."""
    listed: tuple[int, ...]
    """By name only."""


@dataclass(frozen=True)
class ShownImages:
    """Ids of the images in each section of the page."""

    removed: tuple[RemovedGroup, ...]
    suspects: tuple[int, ...]
    """Those that stand for defects; none where they change no score."""
    near_kept: tuple[int, ...]
    """Closest to the limit first."""
    near_removed: tuple[int, ...]
    variants: tuple[tuple[int, ...], ...]
    protected: tuple[int, ...]
    first: tuple[int, ...]
    """Those to look at first."""
    masked: tuple[int, ...]
    """Kept images of which the largest share is not learned."""

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them, ascending."""
        shown = [image for group in self.removed for image in group.shown]
        variants = [image for variant in self.variants for image in variant]
        near = [*self.near_kept, *self.near_removed]
        return tuple(sorted({*shown, *self.suspects, *near, *variants, *self.protected, *self.first, *self.masked}))


def pictured(dossier: Dossier) -> tuple[int, ...]:
    """Ids of the images that `write_dossier` will ask for: the ones whose anomaly map it needs."""
    return select(dossier).ids


def select(dossier: Dossier) -> ShownImages:
    """Choose what is worth a look."""
    kept = [image for image in dossier.images if image.fate == "kept"]
    removed = [dossier.images[image] for image in dossier.refinement.removed]
    judged = [image for image in removed if image.removed_in_round is not None]
    protected = [image for image in dossier.images if image.protected]
    masked = sorted((image for image in kept if image.masked_share), key=lambda image: -image.masked_share)
    closest_kept = sorted((i for i in kept if not i.protected), key=lambda image: -image.final_score)
    closest_removed = sorted(judged, key=lambda image: image.final_score)
    has_limit = dossier.refinement.final_limit is not None
    return ShownImages(
        removed=_groups(removed),
        suspects=dossier.refinement.suspects[:MAX_SUSPECTS] if dossier.suspects is not None else (),
        near_kept=_ids(closest_kept, MAX_NEAR if has_limit else 0),
        near_removed=_ids(closest_removed, MAX_NEAR if has_limit else 0),
        variants=tuple(variant[:MAX_PER_VARIANT] for variant in dossier.refinement.variants[:MAX_VARIANTS]),
        protected=_ids(sorted(protected, key=lambda image: -image.final_score), MAX_PROTECTED),
        first=tuple(one.image for one in first_words(dossier).look_at),
        masked=_ids(masked, MAX_MASKED),
    )


def _groups(removed: list[ImageRecord]) -> tuple[RemovedGroup, ...]:
    """In the order in which they left."""
    rounds: dict[int | None, list[int]] = {}
    for image in removed:
        rounds.setdefault(image.removed_in_round, []).append(image.id)
    share = MAX_REMOVED // max(1, len(rounds))
    return tuple(RemovedGroup(number, tuple(ids[:share]), tuple(ids[share:])) for number, ids in rounds.items())


def _ids(images: list[ImageRecord], most: int) -> tuple[int, ...]:
    return tuple(image.id for image in images[:most])
