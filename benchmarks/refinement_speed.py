"""Our refinement against the papers' way of doing it, in time and in what comes of it.

    python benchmarks/refinement_speed.py ../shared/datasets/mvtec_ad/bottle [--noise 20] [--detector spatial]

All get the same contaminated training set (protocol of the evaluation), the same detector and training steps:

* ours: features computed once, `learn` with `auto` (refined, trained, cross-fitted and calibrated);
* refresh: the same, when the features of all but 20 images are in the cache;
* naive, lambda: as the papers describe it, each round computes the features of all images that are left, trains from
  scratch, and removes the one image that scores highest, if that exceeds lambda times the median, until none does;
* naive, as many: the same without a limit, until as many images are removed as ours removed. Dirt that was learned
  scores like the rest, so with much dirt the papers' limit may stop the rounds before they begin.

The naive ways neither cross-fit nor calibrate. Features are the same in every round, so only some rounds compute them,
and their time per image is added to the others; training and scoring take place in all rounds and are measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # the first optimiser of a process imports it, which takes seconds and is no training
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS
from engines.errors import EngineError, TrainingError
from engines.preprocess import prepare
from engines.training.evaluation.layouts import LabelledSet, open_sets
from engines.training.evaluation.metrics import auroc
from engines.training.evaluation.prepare import LocatedSet, open_images
from engines.training.evaluation.protocol import Indices, contaminated_split
from engines.training.fitting.judge import FeatureJudge
from engines.training.fitting.train import TrainOptions, score, train
from engines.training.images.dataset import Dataset, read_image
from engines.training.images.features import BATCH, CachedFeatures, cached_features
from engines.training.learn import LearnOptions, learn
from engines.training.refinement.records import RefineOptions, Scores
from engines.training.refinement.refine import refine

NEW_IMAGES = 20
GOAL_RATIO = 20.0
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Bench:
    """A contaminated training set and the images to test."""

    data: LocatedSet
    detector: Detector
    train: Indices
    """Into the samples of the set."""
    is_dirty: NDArray[np.bool_]
    test_good: Indices
    test_defective: Indices
    clock: Callable[[], float]
    """Seconds."""

    def features(self, indices: Indices, cache: Path) -> tuple[CachedFeatures, float]:
        """Of these samples, and the seconds it took; what `cache` has is not computed."""
        started = self.clock()
        found = cached_features(
            self.detector,
            Dataset(self.data.labels.folder, tuple(self.data.files[index] for index in indices)),
            self.data.spec,
            detector_key=self.detector.backbone.key,
            folder=cache,
            on_progress=lambda _done, _total: None,
            location=self.data.location,
        )
        return found, self.clock() - started

    def compute_features(self, indices: Indices) -> None:
        """The features of these samples, thrown away."""
        for batch in np.split(indices, range(BATCH, len(indices), BATCH)):
            paths = [self.data.files[index].path for index in batch]
            pixels = [prepare(read_image(path), self.data.spec, self.data.location).pixels for path in paths]
            with torch.inference_mode():
                self.detector.features(torch.from_numpy(np.stack(pixels)))

    def auroc(self, test_features: CachedFeatures) -> float:
        """Image AUROC of the detector as it is now."""
        good = len(self.test_good)
        scores, _ = score(self.detector, test_features, np.arange(good + len(self.test_defective)))
        return auroc(scores[:good], scores[good:])

    def removed(self, positions: Indices) -> dict[str, int]:
        """How many of these positions in the training set are good and bad."""
        bad = int(self.is_dirty[positions].sum())
        return {"removed_good": len(positions) - bad, "removed_bad": bad}


class NaiveJudge(FeatureJudge):
    """Trains from scratch in every round, and keeps the time."""

    def __init__(self, bench: Bench, features: CachedFeatures, training: TrainOptions) -> None:
        super().__init__(bench.detector, features, np.arange(len(bench.train)), training)
        self._bench, self._clock = bench, bench.clock
        self.images: list[int] = []
        """Of every round."""
        self.train_s: list[float] = []

    def own(self, kept: Indices, *, continued: bool) -> Scores:  # noqa: ARG002  never continued
        """See `Judge.own`."""
        started = self._clock()
        train(self._bench.detector, self._features, kept, self._training)  # the whole training, as the papers'
        scores, _ = score(self._bench.detector, self._features, kept)
        self.train_s.append(self._clock() - started)
        self.images.append(len(kept))
        return scores


def open_bench(folder: Path, options: argparse.Namespace) -> Bench:
    """Raises TrainingError or EngineError when the data set cannot be used."""
    labels = _limited(open_sets([folder])[0], options.limit)
    data = open_images(labels, lambda: None)
    split = contaminated_split(labels, options.noise, options.seed)
    there = data.is_located
    return Bench(
        data=data,
        detector=DETECTORS[options.detector](data.spec, options.backbone).eval(),
        train=split.train[there[split.train]],
        is_dirty=split.train_is_dirty[there[split.train]],
        test_good=split.test_good[there[split.test_good]],
        test_defective=split.test_defective[there[split.test_defective]],
        clock=CLOCKS[options.clock],
    )


def _limited(labels: LabelledSet, limit: int | None) -> LabelledSet:
    """The set with at most `limit` good training images, spread over all."""
    good = labels.train_good
    if limit is None or len(good) <= limit:
        return labels
    return replace(labels, train_good=tuple(good[round(index)] for index in np.linspace(0, len(good) - 1, limit)))


def run_ours(bench: Bench, test: CachedFeatures, cache: Path, training: TrainOptions) -> dict[str, dict[str, Any]]:
    """From images to a calibrated detector: `ours` with nothing in the cache, `refresh` with all but the new images."""
    features, features_s = bench.features(bench.train, cache)
    started = bench.clock()
    learned = learn(bench.detector, features, np.arange(len(bench.train)), LearnOptions(training=training))
    learn_s = bench.clock() - started
    outcome = {
        "rounds": len(learned.refinement.rounds),
        **bench.removed(learned.refinement.removed),
        "image_auroc": bench.auroc(test),
    }
    for index in bench.train[-NEW_IMAGES:]:
        for entry in cache.glob(f"*{bench.data.files[index].sha256}*"):
            entry.unlink()
    _, refresh_s = bench.features(bench.train, cache)
    return {name: _timed(outcome, each, learn_s) for name, each in (("ours", features_s), ("refresh", refresh_s))}


def run_naive(
    judge: NaiveJudge, bench: Bench, test: CachedFeatures, options: RefineOptions, feature_s: float
) -> dict[str, Any]:
    """One removal per round; `feature_s` is the time for the features of one image."""
    found = refine(judge, len(bench.train), options)
    finished = len(found.rounds[-1].removed) == 0
    if not finished:
        judge.own(found.kept, continued=False)  # the last model still knew what then left
    outcome = {
        "rounds": len(judge.images),
        "finished": finished,
        **bench.removed(found.removed),
        "image_auroc": bench.auroc(test),
    }
    return _timed(outcome, feature_s * sum(judge.images), sum(judge.train_s))


def measure_features(bench: Bench, rounds: int) -> float:
    """Seconds for the features of one image without a cache; `rounds` times all images."""
    started = bench.clock()
    for _ in range(rounds):
        bench.compute_features(bench.train)
    return (bench.clock() - started) / rounds / len(bench.train)


def _timed(outcome: dict[str, Any], features_s: float, learn_s: float) -> dict[str, Any]:
    return {**outcome, "features_s": features_s, "learn_s": learn_s, "seconds": features_s + learn_s}


def compare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one data set."""
    bench = open_bench(folder, options)
    training = TrainOptions(options.steps, options.seed)
    with tempfile.TemporaryDirectory(prefix="refinement-speed-") as temporary:
        cache = Path(temporary)
        test, _ = bench.features(np.concatenate([bench.test_good, bench.test_defective]), cache)
        results = run_ours(bench, test, cache, training)
        feature_s = measure_features(bench, options.feature_rounds)
        features, _ = bench.features(bench.train, cache)
        ours_removed = results["ours"]["removed_good"] + results["ours"]["removed_bad"]
        limited = RefineOptions("irp", options.factor, largest_only=True, max_rounds=options.max_rounds)
        as_many = min(options.max_rounds, ours_removed)
        unlimited = RefineOptions("irp", math.nextafter(1, 2), largest_only=True, max_rounds=as_many)
        ways = {"naive, lambda": limited} | ({"naive, as many": unlimited} if ours_removed else {})
        for name, way in ways.items():
            judge = NaiveJudge(bench, features, training)
            results[name] = run_naive(judge, bench, test, way, feature_s)
            for fast in ("ours", "refresh"):
                results[name][f"times_{fast}"] = results[name]["seconds"] / results[fast]["seconds"]
    return {
        "dataset": bench.data.labels.name,
        "detector": options.detector,
        "noise": options.noise,
        "seed": options.seed,
        "factor": options.factor,
        "max_rounds": options.max_rounds,
        "threads": options.threads,
        "clock": options.clock,
        "train_good": int((~bench.is_dirty).sum()),
        "train_bad": int(bench.is_dirty.sum()),
        "feature_rounds": options.feature_rounds,
        "features_s_per_naive_round": feature_s * len(bench.train),
        "load": os.getloadavg()[0],
        "results": results,
    }


def show(found: dict[str, Any]) -> None:
    """What was measured, and what was added up."""
    what = f"{found['train_good']} good and {found['train_bad']} bad images"
    table = Table(
        "", "rounds", "removed bad", "removed good", "image AUROC", "features s", "learn s", "total s", "/ ours",
        "/ refresh", title=f"{found['dataset']}, {found['detector']}: {what}",
    )  # fmt: skip
    for name, row in found["results"].items():
        counts = (str(row[key]) for key in ("rounds", "removed_bad", "removed_good"))
        times = (f"{row[key]:.1f}" for key in ("features_s", "learn_s", "seconds"))
        ratios = (f"{row[key]:.1f}" if key in row else "" for key in ("times_ours", "times_refresh"))
        table.add_row(name, *counts, f"{row['image_auroc']:.4f}", *times, *ratios)
    console = Console(width=140)
    console.print(table)
    limited = found["results"]["naive, lambda"]
    end = "nothing exceeded" if limited["finished"] else f"after {found['max_rounds']} rounds something still exceeded"
    console.print(
        f"Naive, lambda: in the end {end} {found['factor']:g} times the median. The features of all images were "
        f"computed {found['feature_rounds']} times, {found['features_s_per_naive_round']:.1f} s each; that time is "
        f"added to every naive round per image. Training and scoring took place in every round."
    )
    ours = found["results"]["ours"]
    for name, row in found["results"].items():
        if "times_refresh" in row:
            met = row["times_refresh"] >= GOAL_RATIO and ours["image_auroc"] >= row["image_auroc"]
            console.print(f"{name} / refresh >= {GOAL_RATIO:g} at equal or better AUROC: {'met' if met else 'missed'}")
    console.print(
        f"Times: {found['clock']}, {found['threads']} threads. "
        f"Load of the machine: {found['load']:.1f} on {os.cpu_count()} cores."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--detector", choices=list(DETECTORS), default="spatial")
    parser.add_argument("--backbone", default="lite0")
    parser.add_argument("--noise", type=int, default=20, help="percent of the training images (default 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--factor", type=float, default=RefineOptions().factor, help="lambda of the naive refinement")
    parser.add_argument("--steps", type=int, help="training steps of both (default: the detector's own)")
    parser.add_argument("--feature-rounds", type=int, default=3, help="naive rounds that compute features (default 3)")
    parser.add_argument("--max-rounds", type=int, default=40, help="naive rounds at most (default 40)")
    parser.add_argument("--limit", type=int, help="limit of the good training images, for trying things")
    parser.add_argument("--threads", type=int, default=2, help="of both (default 2)")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: processor time, for a machine that has other work"
    )
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    if min(options.feature_rounds, options.max_rounds, options.threads) < 1:
        parser.error("--feature-rounds, --max-rounds and --threads: at least 1")
    torch.set_num_threads(options.threads)
    try:
        found = compare(options.dataset.resolve(), options)
    except (TrainingError, EngineError) as error:
        sys.exit(f"refinement_speed: {error}")
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
