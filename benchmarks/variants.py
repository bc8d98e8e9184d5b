"""Are good parts that share a drawn change kept, or asked about, and is real dirt still removed?

    python benchmarks/variants.py DIR... [--draws 20] [--dirt 10,20,30,40] [--images N] [--json FILE]

DIR: data sets as `station evaluate` reads them. Per draw, 8 to 12 % of the good training images get the same change at
the same place: a dark ring, a label, or another brightness. The images that then are neither learned nor asked about
are lost in silence; a draw passes when these are at most a tenth of the changed ones. With `--dirt`, the sets' own
defects lie among the good images: how many leave, how many good ones with them, and how many images are asked about.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engines.preprocess import prepare as prepared_input
from engines.training.evaluation.layouts import open_sets
from engines.training.evaluation.prepare import LocatedSet, Prepared, open_images, prepare
from engines.training.evaluation.protocol import contaminated_split
from engines.training.fitting.judge import FeatureJudge
from engines.training.fitting.train import TrainOptions
from engines.training.images.dataset import read_image
from engines.training.refinement.records import Indices, Refinement, RefineOptions
from engines.training.refinement.refine import refine

Features = dict[str, NDArray[np.float16]]
KINDS = ("dark ring", "label", "brightness")
MAX_LOST_SHARE = 0.1
"""Of the changed images, in a draw that passes."""
LOST_CELL_SHARE = 0.5
"""A changed image is learned when at most this share of the changed cells of the map lost its weight."""


@dataclass(frozen=True)
class Draw:
    """What became of the images of one drawn change."""

    set: str
    seed: int
    kind: str
    changed: int
    removed: int = 0
    masked: int = 0
    """Kept, but not learned where they are changed."""
    asked: int = 0
    """Of the changed images, removed or masked."""
    asked_others: int = 0
    lost: int = 0
    """Neither learned nor asked about."""

    @property
    def passes(self) -> bool:
        return self.lost <= MAX_LOST_SHARE * self.changed


@dataclass(frozen=True)
class Dirt:
    """What became of real defects."""

    set: str
    noise_percent: int
    seed: int
    bad: int
    good: int
    removed_bad: int
    removed_good: int
    asked_bad: int
    asked_good: int


@dataclass(frozen=True)
class Change:
    """The same change for all images of a draw; the place is in shares of the image."""

    kind: str
    x: float
    y: float
    size: float
    strength: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, kind: str) -> Change:
        return cls(
            kind,
            x=float(rng.uniform(0.3, 0.7)),
            y=float(rng.uniform(0.3, 0.7)),
            size=float(rng.uniform(0.1, 0.2)),
            strength=float(rng.uniform(0.3, 0.6)),
        )

    def on(self, image: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The changed image, and where it is changed (0 or 1)."""
        height, width = image.shape[:2]
        side = min(height, width)
        jitter = rng.uniform(-0.005, 0.005, 2) * side
        centre = round(self.x * width + jitter[0]), round(self.y * height + jitter[1])
        radius = round(self.size * side)
        factor: NDArray[np.float32]
        where = np.zeros((height, width), np.float32)
        if self.kind == "dark ring":
            cv2.circle(where, centre, radius, 1.0, max(2, radius // 5), cv2.LINE_AA)
            factor = 1 - where * np.float32(self.strength)
        elif self.kind == "label":
            corner = centre[0] - radius, centre[1] - radius // 2
            cv2.rectangle(where, corner, (centre[0] + radius, centre[1] + radius // 2), 1.0, cv2.FILLED)
            light = np.full((height, width), 225.0 if image.mean() < 128 else 40.0, np.float32)
            for row in range(3):
                y = corner[1] + (row + 1) * radius // 4
                ends = (corner[0] + radius // 4, y), (centre[0] + radius * 3 // 4, y)
                cv2.line(light, *ends, 128.0, max(1, radius // 12))
            solid = where[..., np.newaxis] if image.ndim == 3 else where
            painted = light[..., np.newaxis] if image.ndim == 3 else light
            return (image * (1 - solid) + painted * solid).round().astype(np.uint8), (where > 0.1).astype(np.uint8)
        else:
            cv2.circle(where, centre, 2 * radius, 1.0, cv2.FILLED)
            where = cv2.GaussianBlur(where, (0, 0), radius / 3).astype(np.float32)
            factor = 1 - where * np.float32(self.strength * (1 if image.mean() > 128 else -1))
        factor = factor[..., np.newaxis] if image.ndim == 3 else factor
        return np.clip(image * factor, 0, 255).round().astype(np.uint8), (where > 0.1).astype(np.uint8)


def changed_features(
    data: LocatedSet, prepared: Prepared, files: Indices, change: Change, rng: np.random.Generator
) -> tuple[Features, NDArray[np.uint8]]:
    """Features of the changed images, and the cells of the map that the change covers in each."""
    pixels, places = [], []
    for file in files:
        image, where = change.on(read_image(data.files[file].path), rng)
        pixels.append(prepared_input(image, data.spec, data.location).pixels)
        covered = prepared_input(255 * where, data.spec, data.location).pixels[..., 0]
        rows, columns = prepared.detector.map_size
        places.append(cv2.resize(covered, (columns, rows), interpolation=cv2.INTER_AREA) > 64)
    found: dict[str, list[NDArray[np.float16]]] = {}
    with torch.inference_mode():
        for start in range(0, len(pixels), 8):
            for name, value in prepared.detector.features(
                torch.from_numpy(np.stack(pixels[start : start + 8]))
            ).items():
                found.setdefault(name, []).append(value.numpy().astype(np.float16))
    return {name: np.concatenate(values) for name, values in found.items()}, np.stack(places).astype(np.uint8)


def refined(prepared: Prepared, features: Features, images: Indices, seed: int) -> Refinement:
    judge = FeatureJudge(prepared.detector, features, images, TrainOptions(seed=seed))
    return refine(judge, len(images), RefineOptions())


def draws(data: LocatedSet, prepared: Prepared, count: int, most_images: int) -> Iterator[Draw]:
    """One after the other, each with another seed."""
    good = np.flatnonzero(data.is_located[: len(data.labels.train_good)])
    row = np.cumsum(data.is_located) - 1
    for seed in range(count):
        rng = np.random.default_rng(seed)
        kind = KINDS[seed % len(KINDS)]
        used = np.sort(rng.permutation(good)[:most_images]) if most_images else good
        changed = np.sort(rng.choice(len(used), round(rng.uniform(0.08, 0.12) * len(used)), replace=False))
        new, places = changed_features(data, prepared, used[changed], Change.drawn(rng, kind), rng)
        features = {name: np.array(value[row[used]]) for name, value in prepared.features.items()}
        for name, value in new.items():
            features[name][changed] = value
        found = refined(prepared, features, np.arange(len(used)), seed)
        yield outcome(Draw(data.labels.name, seed, kind, len(changed)), changed, places, found)


def outcome(draw: Draw, changed: Indices, places: NDArray[np.uint8], found: Refinement) -> Draw:
    removed = np.isin(changed, found.removed)
    masked = np.zeros(len(changed), bool)
    if found.weights is not None:
        lost_cells = ((found.weights[changed] == 0) & (places > 0)).sum(axis=(1, 2))
        masked = ~removed & (lost_cells > LOST_CELL_SHARE * np.maximum(places.sum(axis=(1, 2)), 1))
    asked = np.concatenate([np.empty(0, np.intp), *found.variants])
    is_asked = np.isin(changed, asked)
    return replace(
        draw,
        removed=int(removed.sum()),
        masked=int(masked.sum()),
        asked=int(is_asked.sum()),
        asked_others=len(np.setdiff1d(asked, changed)),
        lost=int(((removed | masked) & ~is_asked).sum()),
    )


def real_dirt(data: LocatedSet, prepared: Prepared, noise_percent: int, seed: int) -> Dirt:
    split = contaminated_split(data.labels, noise_percent, seed)
    located = data.is_located[split.train]
    row = np.cumsum(data.is_located) - 1
    images, is_dirty = split.train[located], split.train_is_dirty[located]
    features = {name: np.array(value[row[images]]) for name, value in prepared.features.items()}
    found = refined(prepared, features, np.arange(len(images)), seed)
    asked = np.concatenate([np.empty(0, np.intp), *found.variants]).astype(np.intp)
    return Dirt(
        set=data.labels.name,
        noise_percent=noise_percent,
        seed=seed,
        bad=int(is_dirty.sum()),
        good=int((~is_dirty).sum()),
        removed_bad=int(is_dirty[found.removed].sum()),
        removed_good=int((~is_dirty[found.removed]).sum()),
        asked_bad=int(is_dirty[asked].sum()),
        asked_good=int((~is_dirty[asked]).sum()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--dirt", default="", metavar="PERCENT,...")
    parser.add_argument("--images", type=int, default=0, help="good images of a draw (default: all)")
    parser.add_argument("--cache", type=Path, help="folder that keeps features")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    noises = [int(text) for text in arguments.dirt.split(",") if text]
    all_draws: list[Draw] = []
    all_dirt: list[Dirt] = []
    with tempfile.TemporaryDirectory() as temporary:
        for labels in open_sets(arguments.folders):
            data = open_images(labels, lambda: None)
            prepared = prepare(data, "spatial", "lite0", arguments.cache or Path(temporary), lambda _done, _total: None)
            for draw in draws(data, prepared, arguments.draws, arguments.images):
                print(draw, flush=True)
                all_draws.append(draw)
                _write(arguments.json, all_draws, all_dirt)
            for noise in noises:
                dirt = real_dirt(data, prepared, noise, 0)
                print(dirt, flush=True)
                all_dirt.append(dirt)
                _write(arguments.json, all_draws, all_dirt)
    _report(all_draws, all_dirt)


def _write(file: Path | None, all_draws: Sequence[Draw], all_dirt: Sequence[Dirt]) -> None:
    """After each, so that a run that is ended leaves what it has."""
    if file:
        content = {"draws": [asdict(draw) for draw in all_draws], "dirt": [asdict(dirt) for dirt in all_dirt]}
        file.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


def _report(all_draws: Sequence[Draw], all_dirt: Sequence[Dirt]) -> None:
    print("\n| set | draws that pass | changed | removed | masked | asked | other images asked | lost |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(draw.set for draw in all_draws):
        mine = [draw for draw in all_draws if draw.set == name]
        sums = [sum(getattr(draw, key) for draw in mine) for key in ("changed", "removed", "masked", "asked")]
        sums += [sum(draw.asked_others for draw in mine), sum(draw.lost for draw in mine)]
        print(f"| {name} | {sum(draw.passes for draw in mine)} of {len(mine)} | {' | '.join(map(str, sums))} |")
    if all_dirt:
        print("\n| set, dirt | defects removed | good removed | defects asked about | good asked about |")
        print("| --- | --- | --- | --- | --- |")
    for dirt in all_dirt:
        removed = f"{dirt.removed_bad} of {dirt.bad} | {dirt.removed_good} of {dirt.good}"
        print(f"| {dirt.set}, {dirt.noise_percent} % | {removed} | {dirt.asked_bad} | {dirt.asked_good} |")


if __name__ == "__main__":
    main()
