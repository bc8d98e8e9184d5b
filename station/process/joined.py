"""Parts joined to process values by time: with which values came the rejects? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_PARTS = 100
FIFTH = 0.2


@dataclass(frozen=True, slots=True)
class With:
    """One value, and the share of rejected parts where it was low and where it was high."""

    name: str
    parts: int
    low: float
    """Below this lies a fifth of the parts."""
    high: float
    """Above this lies a fifth."""
    rejected_low: float
    rejected_high: float
    deviations: float
    """By how many standard deviations the two shares differ; beyond 3 is no chance."""


def rejects_with(
    parts: Sequence[tuple[float, bool]], samples: Sequence[tuple[float, dict[str, float]]], longest_s: float
) -> list[With]:
    """`parts`: (time, rejected); `samples`: in the order of time. A part has the last sample before it, at most
    `longest_s` old. The value with the largest difference comes first; a value that stands still is left out.
    """
    times = np.array([at for at, _ in samples])
    rows: dict[str, list[tuple[float, bool]]] = {}
    for at, rejected in parts:
        index = int(np.searchsorted(times, at, side="right")) - 1
        if index < 0 or at - times[index] > longest_s:
            continue
        for name, value in samples[index][1].items():
            rows.setdefault(name, []).append((value, rejected))
    found = [made for name, pairs in rows.items() if (made := _with(name, pairs)) is not None]
    return sorted(found, key=lambda one: -abs(one.deviations))


def _with(name: str, pairs: Sequence[tuple[float, bool]]) -> With | None:
    if len(pairs) < LEAST_PARTS:
        return None
    values = np.array([value for value, _ in pairs])
    rejected = np.array([each for _, each in pairs])
    low, high = (float(each) for each in np.quantile(values, [FIFTH, 1 - FIFTH]))
    if low >= high:
        return None
    below, above = rejected[values <= low], rejected[values >= high]
    first, second = float(below.mean()), float(above.mean())
    both = float(np.concatenate([below, above]).mean())
    spread = float(np.sqrt(both * (1 - both) * (1 / len(below) + 1 / len(above))))
    return With(name, len(pairs), low, high, first, second, (second - first) / spread if spread > 0 else 0.0)
