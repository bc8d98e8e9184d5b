"""Do outlines hug the defect: the shown map beside the smooth one, on labelled sets, drawn defects and simulated parts.

    python -m benchmarks.shown_map DIR... [--drawn 90] [--simulated] [--json benchmarks/results/shown_map.json]

DIR: data sets as `station evaluate` reads them. Three quarters of the good training images are learned in closed form,
the others say the limit of regions; outlines are those that the station measures. With `--drawn`, that many defects of
seven kinds are drawn into the good images that were not learned, every third time two into one. `--simulated` adds the
parts of the demo. *smooth*: the map that the score follows from, interpolated. A defect counts where it has a region
with that one; *lost*: it has none with the other. *False*: an outline that touches no defect.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from engines.bundle.detection import KINDS
from engines.errors import TrainingError
from engines.training.evaluation.layouts import LabelledSet, Sample, open_sets
from engines.training.evaluation.metrics import pixel_metrics
from engines.training.evaluation.pixels import map_on_image, read_mask
from engines.training.evaluation.prepare import LocatedSet, Prepared, open_images, prepare
from engines.training.fitting.train import shown_maps
from engines.training.images.dataset import read_image
from engines.training.images.features import take
from engines.training.synthesis.defects import sign_of, stamp_of
from engines.training.synthesis.places import free_of, paint_somewhere
from station.line.inspection.measurement import measure
from station.simulation.parts.rendered import DEFECTS, GOOD, render

HELD_OUT = 4
"""One of so many good training images is not learned."""
LIMIT_SHARE = 0.97
"""Of the good images that were not learned: so many have no region. As the default false reject budget gives it."""
SIZES, CONTRASTS = (0.04, 0.2), (25, 80)
"""Of drawn defects: shares of the short side, and grey levels."""
OF_THE_CHANGE = 0.3
"""A pixel belongs to a drawn defect when it changed by this share of its strongest change."""
NEAR_PX = 3
SIMULATED = {"train": range(60), "test": range(1000, 1030), "defects": range(2000, 2015)}
VISIBLE = 8
"""Grey levels."""

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Drawing:
    """One set seen with one map."""

    set: str
    map: str
    pixel_auroc: float
    aupro: float
    defects: int
    """That have a region with the smooth map."""
    lost: int
    images: int
    """With a defect and a region."""
    area: float
    """Of all regions of an image over that of its defects, median."""
    overlap: float
    """Intersection over union of regions and defects, median."""
    with_false: int
    """Images with an outline that touches no defect."""
    false: int


def learned(data: LocatedSet, prepared: Prepared) -> float:
    """Teach the detector on its share of the good training images; the limit of regions from the others."""
    good = _rows(data)[np.flatnonzero(data.is_located[: len(data.labels.train_good)])]
    held_out, taught = _split(good, np.random.default_rng(1))
    features = take(prepared.features, taught, detail=True)
    with torch.inference_mode():
        prepared.detector.initialise(features)
        prepared.detector.fit_detail(features)
    peaks = smooth_maps(prepared, held_out).max(axis=(1, 2))
    return float(np.quantile(peaks, LIMIT_SHARE))


def _split(images: NDArray[np.intp], rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Those that are not learned, in any order, and those that are."""
    order = rng.permutation(images)
    return order[: len(order) // HELD_OUT], np.sort(order[len(order) // HELD_OUT :])


def smooth_maps(prepared: Prepared, rows: NDArray[np.intp]) -> Map:
    """As high as the map that the score follows from, and as fine as the shown one."""
    detector = prepared.detector
    maps = []
    with torch.inference_mode():
        for row in rows:
            coarse = detector.score(take(prepared.features, [int(row)]))[1].unsqueeze(1)
            size = tuple(detector.map_detail * side for side in detector.map_size)
            fine = functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
            maps.append((fine + coarse.max() - fine.max())[0, 0].numpy())
    return np.stack(maps)


def outlined(anomaly_map: Map, limit: float) -> list[NDArray[np.uint8]]:
    """What each outline encloses, over an image of the shape of the map."""
    regions = measure(anomaly_map, anomaly_map.shape, limit, 1.0, max_regions=1000).listed
    filled = []
    for region in regions:
        inside = np.zeros(anomaly_map.shape, np.uint8)
        cv2.fillPoly(inside, [np.array(region.contour_px, np.int32)], 1)
        filled.append(inside)
    return filled


def drawings(data: LocatedSet, prepared: Prepared) -> list[Drawing]:
    """Both maps on the test images of a set."""
    limit = learned(data, prepared)
    labels = data.labels
    first = len(labels.train_good) + len(labels.train_defective)
    seen = []
    for index in range(first, len(labels.samples)):
        placement = data.placements[index]
        mask = read_mask(labels.samples[index], data.files[index]) if placement is not None else None
        if placement is not None and mask is not None:
            seen.append((index, placement, mask))
    rows = _rows(data)[[index for index, _, _ in seen]]
    maps = {"smooth": smooth_maps(prepared, rows), "shown": shown_maps(prepared.detector, prepared.features, rows)}
    on_images = {
        name: [
            Seen.of(map_on_image(one, placement, (mask.shape[1], mask.shape[0])), mask, limit)
            for one, (_, placement, mask) in zip(found, seen, strict=True)
        ]
        for name, found in maps.items()
    }
    with_region = [one.touched for one in on_images["smooth"]]
    return [_drawing((labels.name, name), found, with_region) for name, found in on_images.items()]


@dataclass(frozen=True)
class Seen:
    """A map over one image, and its outlines where the image has a defect."""

    map: Map
    mask: Mask
    regions: list[NDArray[np.uint8]]
    touched: set[int]
    """The defects of the image, by number, that an outline touches."""
    false: int
    """Outlines that touch none."""

    @classmethod
    def of(cls, anomaly_map: Map, mask: Mask, limit: float) -> Seen:
        """All of it."""
        regions = outlined(anomaly_map, limit) if mask.any() else []
        near = np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((NEAR_PX, NEAR_PX), np.uint8)), np.uint8)
        _, numbers = cv2.connectedComponents(near)
        touched = [{int(number) for number in np.unique(numbers[region > 0]) if number} for region in regions]
        return cls(anomaly_map, mask, regions, set().union(*touched), sum(not one for one in touched))


def _drawing(names: tuple[str, str], seen: Sequence[Seen], with_region: Sequence[set[int]]) -> Drawing:
    pixel_auroc, aupro = pixel_metrics([one.map for one in seen], [one.mask for one in seen])
    outlines = [(one, np.any(one.regions, axis=0)) for one in seen if one.regions]
    areas = [drawn.sum() / one.mask.sum() for one, drawn in outlines]
    overlaps = [(drawn & one.mask).sum() / (drawn | one.mask).sum() for one, drawn in outlines]
    return Drawing(
        *names,
        pixel_auroc=round(pixel_auroc, 4),
        aupro=round(aupro, 4),
        defects=sum(map(len, with_region)),
        lost=sum(len(objects - one.touched) for one, objects in zip(seen, with_region, strict=True)),
        images=len(outlines),
        area=round(float(np.median(areas)), 2),
        overlap=round(float(np.median(overlaps)), 3),
        with_false=sum(one.false > 0 for one in seen),
        false=sum(one.false for one in seen),
    )


def _rows(data: LocatedSet) -> NDArray[np.intp]:
    """Of the features, by the position of an image."""
    return np.asarray(np.cumsum(data.is_located) - 1, np.intp)


# ---- sets that are made here ----------------------------------------------------------------------------------------


def with_drawn_defects(data: LocatedSet, count: int, folder: Path) -> LabelledSet:
    """The good training images, a quarter of them for the test, and defects drawn into that quarter."""
    rng = np.random.default_rng(5)
    held_out, taught = _split(np.arange(len(data.labels.train_good)), rng)
    defective = []
    for number in range(count):
        index = held_out[number % len(held_out)]
        image = painted = read_image(data.files[index].path)
        free = free_of(image, data.location)
        kind = KINDS[number % len(KINDS)]
        for _ in range(1 + (number % 3 == 0)):
            stamp = stamp_of(kind, min(image.shape[:2]) * rng.uniform(*SIZES), rng)
            contrast = sign_of(kind, rng) * rng.uniform(*CONTRASTS)
            drawn = paint_somewhere(painted, free, stamp, contrast, rng)
            painted = painted if drawn is None else drawn[0]
        change = np.abs(painted.astype(np.int16) - image)
        change = change.max(axis=2) if change.ndim == 3 else change
        if change.any():
            mask = change > OF_THE_CHANGE * change.max()
            defective.append(_written(folder, kind, f"{number:03}", painted, mask))
    good = data.labels.train_good
    return replace(
        data.labels,
        name=f"{data.labels.name}, drawn",
        train_good=tuple(good[index] for index in taught),
        train_defective=(),
        test_good=tuple(good[index] for index in np.sort(held_out)),
        test_defective=tuple(defective),
    )


def simulated_parts(folder: Path) -> LabelledSet:
    """The parts of the demo; the mask is what a defect changes of the very same part."""
    good = {
        split: tuple(_written(folder, "", f"{split}{seed}", render(seed)) for seed in SIMULATED[split])
        for split in ("train", "test")
    }
    defective = []
    for shift, truth in enumerate(DEFECTS):
        for seed in (100 * shift + number for number in SIMULATED["defects"]):
            image = render(seed, truth)
            changed = np.abs(image.astype(np.int16) - render(seed, GOOD)).max(axis=2) > VISIBLE
            mask = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
            defective.append(_written(folder, truth, f"{truth}{seed}", image, mask))
    return LabelledSet("simulated", folder, "simulated", good["train"], (), good["test"], tuple(defective))


def _written(folder: Path, defect: str, name: str, image: NDArray[np.uint8], mask: Mask | None = None) -> Sample:
    path, mask_path = folder / f"{name}.png", folder / f"{name}_mask.png"
    cv2.imwrite(str(path), image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if mask is None:
        return Sample(path, defect)
    cv2.imwrite(str(mask_path), 255 * mask.astype(np.uint8))
    return Sample(path, defect, mask_path)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="*", metavar="DIR")
    parser.add_argument("--drawn", type=int, default=0, metavar="N", help="defects to draw for each set")
    parser.add_argument("--simulated", action="store_true", help="the parts of the demo, too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if not (options.sets or options.simulated):
        parser.error("name a data set, or ask for --simulated")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="shown-map-") as name:
        try:
            found = _measured(options.sets, options.drawn, simulated=options.simulated, work=Path(name))
        except TrainingError as error:
            parser.exit(1, f"shown_map: {error}\n")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


def _measured(folders: Sequence[Path], drawn: int, *, simulated: bool, work: Path) -> list[Drawing]:
    sets = list(open_sets(folders)) if folders else []
    if simulated:
        (folder := work / "simulated").mkdir()
        sets.append(simulated_parts(folder))
    found = []
    for number, labels in enumerate(sets):
        data = open_images(labels, lambda: None)
        both = [data]
        if drawn:
            (folder := work / f"drawn{number}").mkdir()
            both.append(open_images(with_drawn_defects(data, drawn, folder), lambda: None))
        for one in both:
            for drawing in drawings(one, prepare(one, "spatial", "lite0", work / "cache", lambda *_: None)):
                found.append(drawing)
                print(json.dumps(asdict(drawing)), flush=True)
    return found


if __name__ == "__main__":
    main()
