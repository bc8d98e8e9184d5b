"""Do synthetic defects say anything about real ones? Engines that see well and badly, on sets with real defects.

    python -m benchmarks.detection_curves --datasets DIR [CONFIGURATION...] [--images 120] [--trials 20] [--json FILE]

A CONFIGURATION is a set and what is made worse or better, "kolektorsdd,backbone=lite1,blur=2,side=128,dirt=20": blur in
px of every picture (a camera out of focus), the short side of the model's input in px, and in percent how many of the
pictures learned are defective ones that nobody found (others than those tested). Without any: three sets, each at a
blur of 0, 2 and 4 px.

For each one engine is taught on some of the good pictures. Prints how many synthetic defects it finds at its review
limit, in words from which size on, and how many real defects pass there; last the rank correlation (Spearman) of the
two, over all engines and over those of one set. FILE is written after every engine; rows that it has are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from drivers.imagefiles.reading import read
from engines.detectors.base import Detector
from engines.detectors.catalogue import DETECTORS
from engines.errors import PartNotLocated
from engines.preprocess import prepare
from engines.runtimes.onnx import OnnxRuntime
from engines.training.fitting.crossfit import folds_for
from engines.training.images.dataset import INPUT_MULTIPLE, ImageFile, inspect_image, open_dataset, read_image
from engines.training.images.features import cached_features
from engines.training.learn import LearnOptions, learn
from engines.training.location.locate import Located, locate
from engines.training.refinement.records import RefineOptions
from engines.training.release.export import export_onnx, map_spec
from engines.training.synthesis.trials import Trials
from engines.training.teach import show_defects

SETS = ("mvtec_ad/bottle", "kolektorsdd", "magnetic_tile")
BLURS_PX = (0.0, 2.0, 4.0)
MAX_DEFECTIVE = 60


@dataclass(frozen=True)
class Configuration:
    """What one engine is taught with."""

    set: str
    backbone: str = "lite0"
    blur: float = 0.0
    """px of the camera picture."""
    side: int = 0
    """Short side of the model's input in px; 0: as teaching chooses it."""
    dirt: int = 0
    """Percent of the pictures learned."""

    @classmethod
    def of(cls, text: str) -> Configuration:
        """Raises ValueError: an unknown key, or a value that is no number."""
        name, *others = text.split(",")
        given = dict(each.split("=", 1) for each in others)
        if unknown := given.keys() - {"backbone", "blur", "side", "dirt"}:
            raise ValueError(f"unknown {sorted(unknown)}")
        numbers = {"blur": float(given.get("blur", 0)), "side": int(given.get("side", 0))}
        return cls(name, given.get("backbone", "lite0"), **numbers, dirt=int(given.get("dirt", 0)))  # type: ignore[arg-type]


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configurations", nargs="*", type=Configuration.of, metavar="CONFIGURATION")
    parser.add_argument("--datasets", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=int, default=120, help="good pictures to teach from (default %(default)s)")
    parser.add_argument("--trials", type=int, default=20, help="synthetic defects of each kind (default %(default)s)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(options.json.read_text())["engines"] if options.json and options.json.is_file() else []
    wanted = options.configurations or [Configuration(name, blur=blur) for name in SETS for blur in BLURS_PX]
    for one in wanted:
        with tempfile.TemporaryDirectory(prefix="detection-curves-") as folder:
            found, passed, words = measured(
                options.datasets / one.set, one, Path(folder), options.images, options.trials
            )
        row = {**asdict(one), "synthetic_found": round(found, 3), "real_passed": round(passed, 3), "says": words}
        rows.append(row)
        sys.stdout.write(f"{one}: {found:.2f} of synthetic found, {passed:.2f} of real pass\n")
        sys.stdout.flush()
        if options.json:
            options.json.write_text(json.dumps({**correlations(rows), "engines": rows}, indent=1) + "\n")
    sys.stdout.write(f"{correlations(rows)} (-1: the order of both is the same)\n")
    return 0


def correlations(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Spearman's of found and passed: over all engines, and of each set; None where one of the two does not vary."""

    def of(some: Sequence[Mapping[str, Any]]) -> float | None:
        found, passed = [each["synthetic_found"] for each in some], [each["real_passed"] for each in some]
        if len(set(found)) < 2 or len(set(passed)) < 2:
            return None
        return round(float(spearmanr(found, passed).statistic), 3)

    names = dict.fromkeys(each["set"] for each in rows)
    by_set = {name: of([each for each in rows if each["set"] == name]) for name in names}
    return {"rank_correlation": of(rows), "rank_correlation_by_set": by_set}


def measured(
    source: Path, one: Configuration, folder: Path, count: int, trials_each: int
) -> tuple[float, float, list[str]]:
    """Share of the synthetic defects found and of the real ones that pass, at the review limit; the sizes in words."""
    good = spread(sorted((source / "train" / "good").iterdir()), count)
    bad = [
        file for kind in sorted((source / "test").iterdir()) if kind.name != "good" for file in sorted(kind.iterdir())
    ]
    tested = spread(bad, MAX_DEFECTIVE) if not one.dirt else spread(bad[::2], MAX_DEFECTIVE)
    dirty = spread(bad[1::2], round(len(good) * one.dirt / (100 - one.dirt))) if one.dirt else []
    copy(strewn(good, dirty), folder / "good", one.blur)
    copy(tested, folder / "bad", one.blur)
    located = with_side(locate(open_dataset(folder / "good")), one.side)
    detector = DETECTORS["spatial"](located.input, one.backbone)
    detector.eval()
    features = cached_features(
        detector, located.dataset, located.input, detector_key=f"spatial {detector.backbone.key}",
        folder=folder / "cache", on_progress=lambda _done, _total: None, location=located.location,
    )  # fmt: skip
    trials = Trials(located, seed=0, trials=trials_each, folds=folds_for(len(located.dataset.files)))
    learned = learn(
        detector,
        features,
        np.arange(len(located.dataset.files)),
        LearnOptions(refinement=RefineOptions(method="none")),
        on_model=partial(show_defects, trials, located.input, 1),
    )
    limit = learned.calibration.review_score
    clean = dict(zip(learned.refinement.kept.tolist(), learned.held_out.image_scores.tolist(), strict=True))
    detection = trials.detection(learned.calibration, clean)
    words = [] if detection is None else list(detection.in_words())
    sys.stdout.write("".join(f"  {sentence}\n" for sentence in words))
    scores = [each.score for each in trials.done if clean[each.defect.image] <= limit]
    real = scored(detector, located, [inspect_image(file) for file in sorted((folder / "bad").iterdir())])
    return float(np.mean(np.array(scores) > limit)), float(np.mean(real <= limit)), words


def strewn(good: Sequence[Path], dirty: Sequence[Path]) -> list[Path]:
    """The dirty ones evenly among the good ones."""
    places = [*range(len(good)), *np.linspace(0, len(good), len(dirty), endpoint=False)]
    return [file for _, file in sorted(zip(places, [*good, *dirty], strict=True), key=lambda pair: pair[0])]


def with_side(located: Located, side: int) -> Located:
    """The same with another short side of the model's input; 0: as it is."""
    if not side:
        return located
    scale = side / min(located.input.width, located.input.height)
    width, height = (
        INPUT_MULTIPLE * round(scale * each / INPUT_MULTIPLE) for each in (located.input.width, located.input.height)
    )
    return replace(located, input=located.input.model_copy(update={"width": width, "height": height}))


def scored(detector: Detector, located: Located, files: Sequence[ImageFile]) -> NDArray[np.float32]:
    """Scores of other pictures, as the engine gives them; a part that is not found does not pass."""
    found = []
    with OnnxRuntime(export_onnx(detector, located.input), located.input, map_spec(detector), threads=1) as runtime:
        for file in files:
            try:
                pixels = prepare(read_image(file.path), located.input, located.location).pixels
            except PartNotLocated:
                found.append(np.inf)
            else:
                found.append(float(runtime.infer(pixels[np.newaxis])[0][0]))
    return np.array(found, np.float32)


def spread(files: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of them, evenly spread."""
    picks = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int))
    return [files[index] for index in picks]


def copy(files: Sequence[Path], folder: Path, blur: float) -> None:
    """As PNG, blurred."""
    folder.mkdir()
    for number, file in enumerate(files):
        pixels = read(file).pixels
        soft = cv2.GaussianBlur(pixels, (0, 0), blur) if blur else pixels
        cv2.imwrite(str(folder / f"{number:04}.png"), soft if soft.ndim == 2 else soft[:, :, ::-1])


if __name__ == "__main__":
    sys.exit(main())
