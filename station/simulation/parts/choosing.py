"""Which parts come, and in which order. Everything follows from the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from station.simulation.parts.ageing import Ageing, Kind, amount_of
from station.simulation.parts.pictures import GOOD, LabelledImage
from station.simulation.parts.rendered import DEFECTS
from station.simulation.parts.schedule import AFTERWARDS, INSPECT, MASTERS, TEACH, ScheduledPart

MASTER_DEFECT = "missing_hole"
"""The plainest one."""
MASTER_LOOK = 900_001
"""Of the defective master part; no other part of a demo looks so."""
DEFECTIVE_SHARE = 0.25
"""Of the rendered parts that are inspected; a real line has far fewer, a demo wants to show them."""
LOTS = 2
"""Of each product."""
LOOKS = 24
"""Pictures of each kind of part, where parts come faster than pictures can be drawn."""
HIDDEN_SHARE = 0.05
"""Of the rendered parts that are taught: nobody noticed them, and the refinement (IRP) has to."""


def rendered(
    parts: int, teach_parts: int, seed: int, *, repeat: bool = False, defective: float = DEFECTIVE_SHARE
) -> tuple[ScheduledPart, ...]:
    """`teach_parts` to teach with a few hidden defects, then `parts` to inspect.

    `repeat`: these look like one another now and then, see `LOOKS`. `defective`: share of those that are inspected.
    """
    rng = np.random.default_rng([seed, 2])
    truths = _truths(teach_parts, HIDDEN_SHARE, rng) + _truths(parts, defective, rng)
    phases = [TEACH] * teach_parts + [INSPECT] * parts
    looks = list(range(1, len(truths) + 1))
    if repeat:
        looks[teach_parts:] = _repeated(truths[teach_parts:], first=teach_parts + 1)
    return tuple(
        ScheduledPart(serial, phase, truth, seed=seed * 1_000_000 + look)
        for serial, (phase, truth, look) in enumerate(zip(phases, truths, looks, strict=True), start=1)
    )


def _repeated(truths: Sequence[str], *, first: int) -> list[int]:
    """The parts of each kind take turns in looking in one of `LOOKS` ways, counted from `first`."""
    seen: Counter[str] = Counter()
    looks = []
    for truth in truths:
        looks.append(first + seen[truth] % LOOKS)
        seen[truth] += 1
    return looks


def changing(parts: int, teach_parts: int, seed: int, recipes: Mapping[int, str]) -> tuple[ScheduledPart, ...]:
    """`teach_parts` of each product, then `parts` in lots: the products one after the other, and again.

    `recipes`: products by the number of their recipe.
    """
    planned = []
    for recipe, product in recipes.items():
        taught = rendered(0, teach_parts, seed + recipe)
        planned += [replace(part, product=product) for part in taught]
    lots = [recipe for _ in range(LOTS) for recipe in recipes]
    mixed = rendered(parts, 0, seed)
    ends = [round(len(mixed) * (index + 1) / len(lots)) for index in range(len(lots))]
    for part in mixed:
        recipe = lots[sum(part.serial > end for end in ends)]
        planned.append(replace(part, product=recipes[recipe], recipe=recipe))
    return tuple(replace(part, serial=serial) for serial, part in enumerate(planned, start=1))


def with_masters(parts: tuple[ScheduledPart, ...], seed: int, *, cameras: int = 1) -> tuple[ScheduledPart, ...]:
    """The same, with the master parts of a challenge test between those that are taught and those inspected.

    The good one is a part that the engine was taught with: of any other one in ten may be in review. Where none is
    taught, or several cameras see other faces of it than they did, there is none.
    """
    taught = [part for part in parts if part.phase == TEACH]
    masters = [ScheduledPart(0, MASTERS, MASTER_DEFECT, seed=seed * 1_000_000 + MASTER_LOOK)]
    masters += [replace(part, phase=MASTERS) for part in taught if part.truth == GOOD and cameras == 1][:1]
    planned = [*taught, *masters, *(part for part in parts if part.phase != TEACH)]
    return tuple(replace(part, serial=serial) for serial, part in enumerate(planned, start=1))


def worse(parts: tuple[ScheduledPart, ...], ageing: tuple[Ageing, ...], seed: int) -> tuple[ScheduledPart, ...]:
    """The same parts of a process that makes more and more defective ones: good ones that are inspected become so."""
    rng = np.random.default_rng([seed, 4])
    count = sum(part.phase == INSPECT for part in parts)
    made, number = [], 0
    for part in parts:
        if part.phase == INSPECT:
            share = amount_of(Kind.DEFECTS, ageing, number / max(1, count - 1))
            number += 1
            if rng.random() < share and part.truth == GOOD:
                part = replace(part, truth=DEFECTS[int(rng.integers(len(DEFECTS)))])  # noqa: PLW2901
        made.append(part)
    return tuple(made)


def from_images(images: Sequence[LabelledImage], parts: int | None, seed: int) -> tuple[ScheduledPart, ...]:
    """Every image once in random order; fewer parts take each kind by its share, more begin again."""
    rng = np.random.default_rng([seed, 3])
    wanted = len(images) if parts is None else parts
    chosen: list[LabelledImage] = []
    while wanted - len(chosen) >= len(images):
        chosen += [images[index] for index in rng.permutation(len(images))]
    rest = wanted - len(chosen)
    if rest:
        chosen += _stratified(images, rest, rng)
    return tuple(
        ScheduledPart(serial, INSPECT, image.truth, image=str(image.path.absolute()))
        for serial, image in enumerate(chosen, start=1)
    )


def followed_by(parts: tuple[ScheduledPart, ...], more: int) -> tuple[ScheduledPart, ...]:
    """The same, and then `more` that look like those inspected, one after the other and again."""
    inspected = [part for part in parts if part.phase == INSPECT]
    return parts + tuple(
        replace(inspected[number % len(inspected)], serial=len(parts) + number + 1, phase=AFTERWARDS, recipe=0)
        for number in range(more)
    )


def _truths(count: int, defective_share: float, rng: np.random.Generator) -> list[str]:
    defective = round(count * defective_share)
    truths = [DEFECTS[index % len(DEFECTS)] for index in range(defective)] + [GOOD] * (count - defective)
    return [truths[index] for index in rng.permutation(count)]


def _stratified(images: Sequence[LabelledImage], count: int, rng: np.random.Generator) -> list[LabelledImage]:
    """`count` images in which each kind has its share, rounded by largest remainder."""
    kinds: dict[str, list[LabelledImage]] = {}
    for image in images:
        kinds.setdefault(image.truth, []).append(image)
    exact = {kind: count * len(members) / len(images) for kind, members in kinds.items()}
    quota = {kind: int(share) for kind, share in exact.items()}
    for kind in sorted(exact, key=lambda kind: quota[kind] - exact[kind])[: count - sum(quota.values())]:
        quota[kind] += 1
    chosen = [
        members[index] for kind, members in kinds.items() for index in rng.permutation(len(members))[: quota[kind]]
    ]
    return [chosen[index] for index in rng.permutation(len(chosen))]
