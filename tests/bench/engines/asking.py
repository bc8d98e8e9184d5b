"""An engine about which a person has to be asked: images that look alike were not learned, and nobody has decided."""

from __future__ import annotations

from pathlib import Path

from engines.bundle.manifest import PossibleVariants, VariantsAnswer
from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from tests.bench.engines.small_engine import write_small_engine


def write_asking_engine(
    folder: Path, *, width: int, height: int, answer: VariantsAnswer | None = None, images: tuple[int, ...] = (8,)
) -> Path:
    """In `folder`, which must not exist; returns it."""
    plain = read_bundle(write_small_engine(folder.with_name(f"{folder.name}-plain"), width=width, height=height))
    found = PossibleVariants(images=images, answer=answer, rejected_share_if_good=0.11, review_share_if_good=0.2)
    draft = plain.manifest.model_copy(update={"possible_variants": found})
    write_bundle(folder, draft=draft, model=plain.model, golden=plain.golden)
    return folder
