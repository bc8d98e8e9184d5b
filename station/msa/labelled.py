"""A plan from parts that people have labelled: their stored pictures are what the people of the study see."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from station.labels.labels import Label, read_labels
from station.msa.study import KnownPart, StudyError
from station.records.parts import PartRow, chosen_parts
from station.records.schema import open_reader

NEAR = 0.1
"""Of the score from its limit: such a part is borderline."""


def labelled_parts(records: Path, labels: Path, count: int, seed: int, recipe: str = "") -> tuple[KnownPart, ...]:
    """`count` labelled parts with a stored image, half of them defective if there are as many, borderline ones first.

    Raises:
        StudyError: there are too few.
        RecordingError, LabelError
    """
    said = [one for one in read_labels(labels) if one.camera is None and one.label in ("good", "defective")]
    found: dict[bool, list[tuple[bool, KnownPart]]] = {True: [], False: []}
    with closing(open_reader(records)) as connection:
        for one in said:
            query = "SELECT * FROM parts WHERE session = ? AND acquisition_id = ?"
            row = next(iter(chosen_parts(connection, query, (one.session, one.acquisition_id))), None)
            if row is None or recipe not in ("", row.recipe) or not _has_image(row):
                continue
            part = _known(one, row)
            found[part.good].append((part.borderline, part))
    draw = random.Random(seed)
    for parts in found.values():
        draw.shuffle(parts)
        parts.sort(key=lambda each: not each[0])
    defective = min(len(found[False]), max(count // 2, count - len(found[True])))
    chosen = [part for _, part in [*found[False][:defective], *found[True][: count - defective]]]
    if len(chosen) < count:
        raise StudyError(
            f"{count} parts are asked for, {len(found[True])} good and {len(found[False])} defective ones have a label "
            "and a stored image: label more (page Review), or ask for fewer"
        )
    draw.shuffle(chosen)
    return tuple(
        KnownPart(str(number), each.good, each.borderline, each.session, each.acquisition_id)
        for number, each in enumerate(chosen, start=1)
    )


def _known(said: Label, row: PartRow) -> KnownPart:
    is_near = row.score is not None and row.reject_score is not None and abs(row.score - row.reject_score) < NEAR
    return KnownPart("", said.label == "good", row.verdict == "REVIEW" or is_near, row.session, row.acquisition_id)


def _has_image(row: PartRow) -> bool:
    return any(view.image_path is not None and not view.image_deleted for view in row.views)
