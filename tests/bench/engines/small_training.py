"""Results of a training that never took place: images of rings, some scratched, and a refinement that found them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.training.calibration.calibrate import calibrate
from engines.training.dossier.collect import TrainingRun, collect
from engines.training.dossier.schema import Dossier
from engines.training.fitting.crossfit import CrossFit
from engines.training.images.dataset import Dataset, ImageFile
from engines.training.learn import Learned
from engines.training.refinement.records import Indices, Refinement, Round
from tests.bench.engines.pictures import ring

MAP_SIZE = (20, 20)
IMAGE_PX = 160


@dataclass(frozen=True)
class SmallTraining:
    """`count` images; those in `dirty` score high and leave, half of them in the first round."""

    count: int = 60
    dirty: Sequence[int] = (3, 17, 18, 40)
    names: Callable[[int], str] = "{:04}.png".format
    known_good: Sequence[int] = ()
    masked: Sequence[int] = (5, 6)
    limit: float = 10.0
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields of `Learned` and `TrainingRun` to replace."""

    @property
    def dataset(self) -> Dataset:
        return Dataset(
            Path("images/train/good"),
            tuple(
                ImageFile(Path(self.names(index)), hashlib.sha256(b"%d" % index).hexdigest(), IMAGE_PX, IMAGE_PX, False)
                for index in range(self.count)
            ),
        )

    @property
    def scores(self) -> NDArray[np.float64]:
        scores = np.random.default_rng(1).normal(5.0, 1.0, self.count)
        dirty = np.asarray([*self.dirty, *self.known_good], np.intp)
        scores[dirty] = 20.0 + np.arange(len(dirty))
        return scores

    @property
    def refinement(self) -> Refinement:
        everything = np.arange(self.count)
        worst_first = np.asarray(self.dirty, np.intp)[::-1]
        half = len(worst_first) // 2
        rounds, left = [], everything
        for removed, masked_share in ((worst_first[:half], 0.02), (worst_first[half:], 0.01), (worst_first[:0], 0.01)):
            rounds.append(Round(left, self.scores[left], self.limit, removed, everything[:0], masked_share))
            left = np.setdiff1d(left, removed)
        variant: tuple[Indices, ...] = (worst_first[: max(2, half)],) if len(worst_first) >= 2 else ()
        return Refinement(
            method="auto",
            kept=left,
            removed=worst_first,
            rounds=tuple(rounds),
            weights=self.weights,
            final_scores=self.scores,
            final_limit=self.limit,
            capped=False,
            dirt_share=len(worst_first) / self.count,
            variants=variant,
            protected=np.asarray(self.known_good, np.intp),
            suspects=worst_first[:0],
            doubtful=worst_first[:0],
        )

    @property
    def weights(self) -> NDArray[np.uint8]:
        weights = np.ones((self.count, *MAP_SIZE), np.uint8)
        weights[list(self.masked), 2:8, 5:11] = 0
        return weights

    @property
    def learned(self) -> Learned:
        kept = self.refinement.kept
        held_out = CrossFit(self.scores[kept], _flat_maps(self.scores[kept] + 1.0), groups=np.arange(len(kept)))
        parts: dict[str, Any] = {
            "refinement": self.refinement,
            "held_out": held_out,
            "couplings_used": True,
            "calibration": calibrate(held_out.image_scores, held_out.map_peaks, 0.02),
            "possible_variants": None,
        }
        return Learned(**{name: self.extra.get(name, value) for name, value in parts.items()})

    def collect(self) -> Dossier:
        run: dict[str, Any] = {
            "detector": "spatial",
            "model_sha256": "a" * 64,
            "software": {"python": "3.11", "torch": "2.13.0"},
            "options": {
                "detector": "spatial",
                "cache": Path("cache"),
                "refinement": {"factor": 3.0, "known_good": {2}},
            },
            "seed": 0,
            "duration_s": 95.2,
            "known_good": self.known_good,
            "command": ("station", "teach", "--images", "folder with blanks", "--output", "engine-2"),
        }
        parts = {each.name for each in fields(Learned)}
        run |= {name: value for name, value in self.extra.items() if name not in parts}
        return collect(self.dataset, self.learned, TrainingRun(**run))

    def image(self, index: int) -> NDArray[np.uint8]:
        return ring(index, size=IMAGE_PX, scratch=index in self.dirty)

    def anomaly_map(self, index: int) -> NDArray[np.float32]:
        anomaly_map = np.random.default_rng(index).uniform(0.0, 4.0, MAP_SIZE).astype(np.float32)
        if index in self.dirty or index in self.masked:
            anomaly_map[3:9, 6:10] = 30.0
        return anomaly_map


def _flat_maps(peaks: NDArray[np.float64]) -> NDArray[np.float32]:
    """Maps of one cell."""
    return peaks.astype(np.float32).reshape(-1, 1, 1)
