"""Blocks of variants: what is forgotten, what a block that is taken away leaves behind, and how long an update takes.

    python -m benchmarks.forgetting DIR [--json FILE]

DIR holds train/good in the layout of MVTec. The good images are split into three variants by their part (images that
look alike as a whole, see `twin_groups`, so that no tile is in two of them), a quarter of the parts of each is held
out. A is taught, then B beside A, then C beside both, each as a block; the held-out parts of A are judged by all three
engines. C beside A and B with B left out must be the engine that never knew B. The slow way makes the model of each
fold from all images anew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.detectors.spatial import SpatialDetector
from engines.training.blocks.block import Block
from engines.training.blocks.earlier import Weighed
from engines.training.blocks.kept import read_blocks, write_blocks
from engines.training.calibration.calibrate import calibrate
from engines.training.fitting.crossfit import fold_of, folds_for
from engines.training.fitting.train import CLOSED_FORM, score, train
from engines.training.images.dataset import Dataset, open_dataset
from engines.training.images.features import CachedFeatures, cached_features, key_of_features
from engines.training.images.grouping import twin_groups
from engines.training.learn import Learned, LearnOptions, learn
from engines.training.location.locate import LocateOptions, locate
from engines.training.refinement.records import RefineOptions

VARIANTS = "ABC"
HELD_OUT = 4
KEY = "spatial"
Images = NDArray[np.intp]


def split(features: CachedFeatures) -> dict[str, tuple[Images, Images]]:
    """Variant -> (images to learn, images held out)."""
    count = len(next(iter(features.values())))
    _, number = np.unique(twin_groups(features, np.arange(count)), return_inverse=True)
    found = {}
    for place, name in enumerate(VARIANTS):
        mine = number % len(VARIANTS) == place
        held_out = mine & (number // len(VARIANTS) % HELD_OUT == 0)
        found[name] = (np.flatnonzero(mine & ~held_out), np.flatnonzero(held_out))
    return found


def taught(
    detector: SpatialDetector, features: CachedFeatures, images: Images, blocks: Sequence[Weighed]
) -> tuple[Learned, float]:
    """What was learned, and the seconds it took with refinement."""
    started = time.perf_counter()
    learned = learn(detector, features, images, LearnOptions(RefineOptions("auto"), CLOSED_FORM), blocks=blocks)
    return learned, time.perf_counter() - started


def block_of(name: str, features: CachedFeatures, images: Images, learned: Learned, dataset: Dataset) -> Block:
    """Of what was learned of `images`."""
    assert learned.mine is not None
    weights = learned.refinement.weights
    block = learned.mine.block(
        features, None if weights is None else weights[learned.refinement.kept],
        [file.sha256 for file in dataset.files], name=name, key=KEY, created="",
    )  # fmt: skip
    assert block is not None, f"{len(images)} images are too many"
    return block


def parameters(detector: SpatialDetector) -> list[torch.Tensor]:
    """Everything that was learned."""
    return [value.clone() for name, value in detector.state_dict().items() if "backbone" not in name]


def limits(learned: Learned) -> NDArray[np.float64]:
    """Those of the engine."""
    found = learned.calibration
    return np.array([found.reject_score, found.review_score, found.pixel_score])


def slow_way(detector: SpatialDetector, blocks: Sequence[Weighed]) -> NDArray[np.float64]:
    """Limits from models that are made of all images anew, fold by fold; leaves the detector trained on all."""
    learned = [one.block.learned for one in blocks]
    folds = folds_for(sum(learned))
    names = list(blocks[0].block.features)
    features = {
        name: np.concatenate([one.block.features[name][: one.block.learned] for one in blocks]) for name in names
    }
    shape = (*detector.map_size,)
    every = [
        np.ones((one.block.learned, *shape), np.uint8) if one.block.weights is None else one.block.weights
        for one in blocks
    ]
    weights = None if all(one.block.weights is None for one in blocks) else np.concatenate(every)
    place = np.concatenate([fold_of(one.block.groups.astype(np.intp), folds) for one in blocks])
    scores, peaks = np.empty(len(place)), np.empty(len(place))
    for fold in range(folds):
        train(detector, features, np.flatnonzero(place != fold), CLOSED_FORM, weights)
        found, maps = score(detector, features, np.flatnonzero(place == fold))
        scores[place == fold], peaks[place == fold] = found, maps.max(axis=(1, 2))
    train(detector, features, np.arange(len(place)), CLOSED_FORM, weights)
    order, before = [], 0
    of_aside: list[NDArray[np.float64]] = []
    for one in blocks:
        block = one.block
        aside = np.arange(block.learned, len(block.images))
        found, maps = score(detector, block.features, aside)
        of_aside.append(np.stack([found, maps.max(axis=(1, 2), initial=-np.inf)]))
        mine = np.argsort(block.parts, kind="stable")
        mine = mine[block.counts[mine]]
        both = np.concatenate([np.stack([scores, peaks])[:, before : before + block.learned], of_aside[-1]], axis=1)
        order.append(both[:, mine])
        before += block.learned
    values = np.concatenate(order, axis=1)
    found_limits = calibrate(values[0], values[1], 0.01)
    return np.array([found_limits.reject_score, found_limits.review_score, found_limits.pixel_score])


def apart(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> float:
    """Largest difference, as a share of the largest value of each parameter."""
    return max(float((a - b).abs().max() / a.abs().max().clamp_min(1e-12)) for a, b in zip(first, second, strict=True))


def measured(folder: Path) -> dict[str, Any]:
    """All figures."""
    located = locate(open_dataset(folder, lambda _done, _total: None), LocateOptions(method="none"))
    dataset, spec = located.dataset, located.input
    detector = SpatialDetector(spec)
    detector.eval()
    with tempfile.TemporaryDirectory(prefix="forgetting-") as work:
        started = time.perf_counter()
        features = cached_features(
            detector, dataset, spec, detector_key=KEY, folder=Path(work), on_progress=lambda _done, _total: None,
            location=located.location,
        )  # fmt: skip
        backbone_s = time.perf_counter() - started
        assert key_of_features(KEY, spec, located.location)
        variants = split(features)
        report: dict[str, Any] = {"images": {name: [len(each) for each in pair] for name, pair in variants.items()}}
        blocks: list[Weighed] = []
        judged, seconds = {}, {}
        for name in VARIANTS:
            images = variants[name][0]
            learned, seconds[name] = taught(detector, features, images, blocks)
            engine = VARIANTS[: len(blocks) + 1]
            judged[engine] = {
                other: round(float((score(detector, features, held)[0] > learned.calibration.reject_score).mean()), 4)
                for other, (_, held) in variants.items()
            }
            source = Path(work) / f"blocks-{len(blocks)}"
            mine = block_of(name, features, images, learned, dataset)
            write_blocks(source, mine, blocks, Path(work) / f"blocks-{len(blocks) - 1}" if blocks else None)
            started = time.perf_counter()
            blocks = read_blocks(source, KEY)
            read_s = time.perf_counter() - started
        whole, all_three = parameters(detector), limits(learned)
        started = time.perf_counter()
        scratch = slow_way(detector, blocks)
        report["all three blocks against the slow way"] = {
            "parameters": apart(whole, parameters(detector)), "limits": float(np.abs(all_three - scratch).max()),
        }  # fmt: skip
        slow_s = time.perf_counter() - started
        without_b = [one for one in read_blocks(source, KEY, left_out=["B"]) if one.block.name != "C"]
        started = time.perf_counter()
        left, _ = taught(detector, features, variants["C"][0], without_b)
        removal_s = time.perf_counter() - started
        left_parameters, left_limits = parameters(detector), limits(left)
        never = slow_way(detector, [blocks[0], blocks[2]])
        report["without B against an engine that never knew B"] = {
            "parameters": apart(left_parameters, parameters(detector)),
            "limits": float(np.abs(left_limits - never).max()),
        }
        report |= {
            "good parts rejected, by engine and variant": judged,
            "more of A rejected, points": round(100 * (judged["ABC"]["A"] - judged["A"]["A"]), 2),
            "seconds": {
                "backbone on all images": round(backbone_s, 1), "teaching A, with refinement": round(seconds["A"], 1),
                "C beside A and B, with its refinement": round(seconds["C"], 1),
                "reading three blocks": round(read_s, 2), "removing B, C refined again": round(removal_s, 1),
                "the slow way, without refinement": round(slow_s, 1),
            },
            "mb_of_a_block": round(sum(v.nbytes for v in blocks[0].block.features.values()) / 1e6, 1),
        }  # fmt: skip
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = measured(options.folder)
    print(json.dumps(report, indent=1))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    same = (report["all three blocks against the slow way"], report["without B against an engine that never knew B"])
    return 0 if all(value <= 1e-6 for each in same for value in each.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
