"""Maps of which it is known which images are defective, and a Gaussian for every cell that judges them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.training.refinement.records import CellWeights, Indices, Round, Scores

FOLDS = 4
MAP_SIZE = (6, 6)
GOOD = 60


@dataclass
class GaussianJudge:
    """Every cell is normal by itself; an image scores the deviation of its worst cell, counted from `zero`."""

    maps: NDArray[np.float64]
    """(images, rows, columns)."""
    scale: float = 1.0
    zero: float = 0.0
    looks: NDArray[np.float32] | None = None
    trained: list[int] = field(default_factory=list)
    """How many images each model learned from."""

    def _cells(self, learned: Indices, judged: Indices, weights: CellWeights | None = None) -> NDArray[np.float64]:
        self.trained.append(len(learned))
        share = np.ones_like(self.maps[learned]) if weights is None else weights[learned].astype(float)
        count = share.sum(axis=0) + 1e-9
        mean = (share * self.maps[learned]).sum(axis=0) / count
        variance = (share * (self.maps[learned] - mean) ** 2).sum(axis=0) / count
        return np.asarray(np.abs(self.maps[judged] - mean) / np.sqrt(variance + 1e-3), np.float64)

    def own(self, kept: Indices, *, continued: bool) -> Scores:
        return self._scores(self._cells(kept, kept))

    def unseen(self, learned: Indices, weights: CellWeights | None) -> tuple[Scores, NDArray[np.float32]]:
        cells = np.empty(self.maps.shape)
        for fold in range(FOLDS):
            held_out = np.arange(fold, len(self.maps), FOLDS)
            cells[held_out] = self._cells(np.setdiff1d(learned, held_out), held_out, weights)
        return self._scores(cells), (self.scale * cells + self.zero).astype(np.float32)

    def _scores(self, cells: NDArray[np.float64]) -> Scores:
        return np.asarray(self.scale * cells.max(axis=(1, 2)) + self.zero, np.float64)

    def positive(self, scores: Scores) -> Scores:
        return scores

    def describe(self, images: Indices, kept: Indices) -> NDArray[np.float32]:
        looks = self.maps.reshape(len(self.maps), -1) if self.looks is None else self.looks
        return looks[images].astype(np.float32)

    def recurring(self, differs: NDArray[np.bool_], learned: Indices) -> NDArray[np.bool_]:
        return np.zeros_like(differs)  # one number a cell: all that is above its mean points the same way

    def parts(self) -> Indices:
        return np.arange(len(self.maps))


@dataclass
class ListCheckpoint:
    """Keeps rounds in memory."""

    rounds: list[Round] = field(default_factory=list)

    def load(self) -> list[Round]:
        return list(self.rounds)

    def save(self, rounds: list[Round]) -> None:
        self.rounds = list(rounds)


def good_maps(count: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, *MAP_SIZE))


def mixture(
    share: float, *, good: int = GOOD, seed: int = 0, places: tuple[int, int] = MAP_SIZE
) -> tuple[GaussianJudge, Indices]:
    """Good images and in between, `share` of all, images with a defect of about 20 deviations in one cell.

    The cell is among the first rows and columns that `places` counts. Returns the defective images, too.
    """
    rng = np.random.default_rng(seed + 1000)
    count = round(good / (1 - share))
    maps = good_maps(count, seed)
    dirty = np.sort(rng.choice(count, size=count - good, replace=False))
    rows, columns = rng.integers(0, places, (len(dirty), 2)).T
    maps[dirty, rows, columns] += rng.uniform(16, 24, len(dirty))
    return GaussianJudge(maps), dirty
