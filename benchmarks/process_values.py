"""Dynamic PCA on the Tennessee Eastman process: which share of the samples after a fault is found.

The data are not in this repository: `git clone https://github.com/camaramm/tennessee-eastman-profBraatz` (22 runs, 52
signals). Learned from d00, limits from d00_te, faults 1 to 21 begin at sample 161 of their test runs.

    python -m benchmarks.process_values FOLDER --output benchmarks/results/process_values.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from station.process.dynamic_pca import LAGS, Values, learn, unusual, with_limits

BEGIN = 160
FALSE_SHARE = 0.011
HARD = (3, 9, 15)
"""Faults that no method finds in these signals."""
SIGNALS = 52


def run(folder: Path, name: str) -> Values:
    """(samples, signals). One file is stored the other way round."""
    values = np.loadtxt(folder / name)
    return values if values.shape[1] == SIGNALS else values.T


def detection(folder: Path, false_share: float = FALSE_SHARE) -> dict[str, object]:
    """Shares of samples found, by fault, and of samples before the faults that were called unusual."""
    names = [f"x{number}" for number in range(1, SIGNALS + 1)]
    model = with_limits(learn(names, run(folder, "d00.dat")), run(folder, "d00_te.dat"), false_share)
    found: dict[int, float] = {}
    delays: dict[int, int | None] = {}
    before = []
    for fault in range(1, 22):
        beyond = unusual(model, run(folder, f"d{fault:02d}_te.dat"))
        after = beyond[BEGIN - LAGS :]
        found[fault] = float(after.mean())
        first = np.flatnonzero(np.convolve(after, np.ones(3), "valid") == 3)
        delays[fault] = int(first[0]) if len(first) else None
        before.append(float(beyond[: BEGIN - LAGS].mean()))
    easy = [share for fault, share in found.items() if fault not in HARD]
    return {
        "false_share": float(unusual(model, run(folder, "d00_te.dat")).mean()),
        "before_the_faults": float(np.mean(before)),
        "components": int(model.loadings.shape[1]),
        "mean": float(np.mean(list(found.values()))),
        "mean_without_3_9_15": float(np.mean(easy)),
        "by_fault": found,
        "delay_samples": delays,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if not (options.folder / "d00.dat").exists():
        print(f"{options.folder} has no d00.dat: skipped; see the first lines of this file")
        return 0
    found = detection(options.folder)
    print(json.dumps(found, indent=2))
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
