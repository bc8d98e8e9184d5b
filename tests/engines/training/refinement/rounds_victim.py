"""A refinement that never ends, to be killed: `python -m tests.engines.training.refinement.rounds_victim FOLDER`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

from engines.training.refinement.checkpoint import FileCheckpoint
from engines.training.refinement.records import Round

KEY = "k" * 64
IMAGES = 50


def run(folder: Path, last_round: float) -> int:
    """Go on to `last_round`; returns with how many rounds it began."""
    checkpoint = FileCheckpoint(folder, KEY, print)
    rounds = checkpoint.load()
    began_with = len(rounds)
    while len(rounds) < last_round:
        # Each round follows from the one before.
        before = rounds[-1].scores if rounds else np.zeros(IMAGES)
        scores = np.sin(before + np.arange(IMAGES) + len(rounds))
        empty = np.empty(0, np.intp)
        rounds.append(Round(np.arange(IMAGES), scores, float(scores.max()), empty, empty, 0.0))
        checkpoint.save(rounds)
    return began_with


if __name__ == "__main__":
    run(Path(sys.argv[1]), last_round=math.inf)
