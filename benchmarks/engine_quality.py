"""How good an engine is on a data set with known truth: teach it, score all test images, compare with its limits.

    python benchmarks/engine_quality.py ../shared/datasets/mvtec_ad/bottle ../shared/datasets/kolektorsdd

Each folder has the MVTec layout (train/good, test/good, test/<defect>). Everything runs as on the line: the taught
bundle, opened with `open_engine`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.engine import open_engine
from engines.training.dataset import SUFFIXES, read_image
from station.teach import teach


def auroc(good: NDArray[np.float64], defective: NDArray[np.float64]) -> float:
    """Chance that a defective image scores above a good one; ties count half."""
    difference = defective[:, np.newaxis] - good[np.newaxis, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def evaluate(dataset: Path, engine_path: Path, teach_s: float, threads: int) -> dict[str, object]:
    """Score all test images and count what the limits say."""
    scores: dict[str, list[float]] = {}
    times_ms: list[float] = []
    with open_engine(engine_path, threads=threads) as engine:
        for folder in sorted((dataset / "test").iterdir()):
            for file in sorted(folder.iterdir()):
                if file.suffix.lower() in SUFFIXES:
                    output = engine.score(read_image(file))
                    scores.setdefault(folder.name, []).append(output.image_score)
                    times_ms.append((output.end_ns - output.start_ns) / 1e6)
        limits = engine.calibration
    good = np.array(scores.pop("good"))
    defective = np.concatenate([np.array(values) for values in scores.values()])
    return {
        "dataset": dataset.name,
        "image_auroc": round(auroc(good, defective), 4),
        "good": len(good),
        "good_rejected": int((good > limits.reject_score).sum()),
        "good_review": int(((good > limits.review_score) & (good <= limits.reject_score)).sum()),
        "defective": len(defective),
        "defective_passed": int((defective <= limits.review_score).sum()),
        "defective_review": int(((defective > limits.review_score) & (defective <= limits.reject_score)).sum()),
        "auroc_by_defect": {name: round(auroc(good, np.array(values)), 4) for name, values in scores.items()},
        "review_score": round(limits.review_score, 3),
        "reject_score": round(limits.reject_score, 3),
        "good_max": round(float(good.max()), 3),
        "defective_min": round(float(defective.min()), 3),
        "teach_s": round(teach_s, 1),
        "engine_ms_p50": round(float(np.percentile(times_ms, 50)), 1),
        "engine_ms_min": round(min(times_ms), 1),
    }


def main() -> None:
    """Print one row per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", type=Path, help="use this engine instead of teaching one")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    rows = []
    for dataset in options.datasets:
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            path = (
                options.engine
                or teach(dataset, Path(folder) / "engine", seed=options.seed, threads=options.threads).engine
            )
            rows.append(evaluate(dataset, path, time.monotonic() - started, options.threads))
    table = Table("figure", *(str(row["dataset"]) for row in rows))
    for key in list(rows[0])[1:]:
        table.add_row(key, *(str(row[key]) for row in rows))
    Console(width=200).print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
