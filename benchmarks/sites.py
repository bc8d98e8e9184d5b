"""Five sites made of one data set of known truth: whole groups of images of a part, and a lamp for each site.

    apart   sites follow each other in the order of capture: other tiles, other days
    mixed   groups are dealt out: five lines with one product
    light   as apart, and each site has a lamp of its own (gain of the grey values)

Images are grouped by part: magnetic tiles by the order of capture in their names, commutators by their number; what
looks like a copy (`twin_groups`) joins groups. So no part is at two sites, or learned and tested.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.detectors.spatial import SpatialDetector
from engines.preprocess import prepare
from engines.training.evaluation.layouts import LabelledSet
from engines.training.images.dataset import ImageFile, choose_input, inspect_image, read_image
from engines.training.images.features import CachedFeatures
from engines.training.images.grouping import connected, twin_groups

SITES = 5
LAYOUTS = ("apart", "mixed", "light")
GAINS = (0.7, 0.85, 1.0, 1.2, 1.4)
"""Of the lamp of each site in `light`."""
SEVERAL_FRAMES = 30
"""Numbers of frames apart within which two pictures are of one tile, whatever their exposure."""
SAME_TILE = 250
"""The same where the exposure rises, as it does from picture to picture of a tile."""
BATCH = 8
Images = NDArray[np.intp]


def groups_by_name(names: Sequence[str]) -> Images:
    """For each image the position of the first of its part; of names of magnetic tile or KolektorSDD."""
    linked = np.eye(len(names), dtype=np.bool_)
    if all(name.startswith("kos") for name in names):
        parts = np.array([name.split("_")[0] for name in names])
        return connected(parts[:, np.newaxis] == parts[np.newaxis, :])
    found = [re.fullmatch(r"exp(\d+)_num_(\d+)", name) for name in names]
    exposure = np.array([int(one[1]) if one else 0 for one in found])
    number = np.array([int(one[2]) if one else 0 for one in found])
    order = np.argsort(number, kind="stable")
    for before, after in itertools.pairwise(order):
        apart = number[after] - number[before]
        if apart <= SEVERAL_FRAMES or (apart <= SAME_TILE and exposure[after] > exposure[before]):
            linked[before, after] = linked[after, before] = True
    return connected(linked)


def capture_order(names: Sequence[str]) -> NDArray[np.int64]:
    """A number that rises with the time of capture: the last one of a tile's name, the first of a commutator's."""
    which = 0 if all(name.startswith("kos") for name in names) else -1
    return np.array([int(re.findall(r"\d+", name)[which]) for name in names])


@dataclass(frozen=True)
class Taken:
    """All images of a data set."""

    name: str
    features: CachedFeatures
    groups: Images
    is_defective: NDArray[np.bool_]
    site: Images
    """(images,): which of the sites."""


def open_taken(labels: LabelledSet, layout: str, cache: Path, seed: int) -> tuple[SpatialDetector, Taken]:
    """Features of all images as the sites see them, and the sites."""
    samples = labels.samples
    files = [inspect_image(sample.path) for sample in samples]
    spec = choose_input([(file.width, file.height) for file in files[: len(labels.train_good)]])
    detector = SpatialDetector(spec)
    detector.eval()
    names = [sample.path.stem for sample in samples]
    plain = _features(detector, files, spec, np.ones(len(files)), cache)
    by_name = groups_by_name(names)
    twins = twin_groups(plain, np.arange(len(files)))
    same = (by_name[:, np.newaxis] == by_name[np.newaxis, :]) | (twins[:, np.newaxis] == twins[np.newaxis, :])
    groups = connected(same)
    is_defective = np.array([sample.defect != "" for sample in samples])
    site = sites_of(groups, capture_order(names), mixed=layout == "mixed", seed=seed)
    gains = np.array(GAINS)[site] if layout == "light" else np.ones(len(files))
    features = plain if layout != "light" else _features(detector, files, spec, gains, cache)
    return detector, Taken(labels.name, features, groups, is_defective, site)


def sites_of(groups: Images, order: NDArray[np.int64], *, mixed: bool, seed: int) -> Images:
    """Whole groups to sites of about as many images each."""
    first = np.unique(groups)
    began = np.array([order[groups == group].min() for group in first])
    ranked = first[np.argsort(began, kind="stable")]
    sizes = np.array([np.count_nonzero(groups == group) for group in ranked])
    if mixed:
        shuffled = np.random.default_rng(seed).permutation(len(ranked))
        ranked, sizes = ranked[shuffled], sizes[shuffled]
    middle = np.cumsum(sizes) - sizes / 2
    site_of_group = dict(zip(ranked.tolist(), (middle * SITES // len(groups)).astype(int).tolist(), strict=True))
    return np.array([site_of_group[group] for group in groups.tolist()], np.intp)


def _features(
    detector: SpatialDetector, files: Sequence[ImageFile], spec: InputSpec, gains: NDArray[np.float64], cache: Path
) -> dict[str, NDArray[np.float16]]:
    of_images = [f"{file.sha256} {gain:g}" for file, gain in zip(files, gains, strict=True)]
    key = hashlib.sha256(
        "\n".join([detector.backbone.key, str(detector.features_version), spec.model_dump_json(), *of_images]).encode()
    )
    folder = cache / f"site-prior-{key.hexdigest()[:16]}"
    streams = [stream.tap for stream in detector.streams]
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, list[NDArray[np.float16]]] = {name: [] for name in streams}
        for start in range(0, len(files), BATCH):
            pixels = [
                np.clip(np.rint(prepare(read_image(file.path), spec).pixels * gain), 0, 255)
                for file, gain in zip(files[start : start + BATCH], gains[start : start + BATCH], strict=True)
            ]
            with torch.inference_mode():
                values = detector.features(torch.from_numpy(np.stack(pixels).astype(np.uint8)))
            for name in streams:
                found[name].append(values[name].numpy().astype(np.float16))
        for name in streams:
            np.save(folder / f"{name}.npy", np.concatenate(found[name]))
        (folder / "whole").touch()
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in streams}
