"""Do synthetic defects say anything about real ones? Engines that see well and badly, on sets with real defects.

    python -m benchmarks.detection_curves --datasets DIR [--images 120] [--trials 20] [--blur 0 2 4] [--json FILE]

For each set and blur (px, of every picture: a camera out of focus) one engine is taught on some of the good pictures.
Prints how many synthetic defects it finds at its review limit, in words from which size on, and how many real defects
pass there; last the rank correlation (Spearman) of the two over all engines. Leaves nothing behind.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

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
from engines.training.images.dataset import ImageFile, inspect_image, open_dataset, read_image
from engines.training.images.features import cached_features
from engines.training.learn import LearnOptions, learn
from engines.training.location.locate import Located, locate
from engines.training.refinement.records import RefineOptions
from engines.training.release.export import export_onnx, map_spec
from engines.training.synthesis.trials import Trials
from engines.training.teach import show_defects

SETS = ("mvtec_ad/bottle", "kolektorsdd", "magnetic_tile")
MAX_DEFECTIVE = 60


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=int, default=120, help="good pictures to teach from (default %(default)s)")
    parser.add_argument("--trials", type=int, default=20, help="synthetic defects of each kind (default %(default)s)")
    parser.add_argument("--blur", type=float, nargs="+", default=[0.0, 2.0, 4.0], metavar="PX")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shares, rows = [], []
    for name in SETS:
        for blur in options.blur:
            with tempfile.TemporaryDirectory(prefix="detection-curves-") as folder:
                found, passed, words = measured(
                    options.datasets / name, blur, Path(folder), options.images, options.trials
                )
            shares.append((found, passed))
            row = {"set": name, "blur_px": blur, "synthetic_found": round(found, 3), "real_passed": round(passed, 3)}
            rows.append({**row, "says": words})
            sys.stdout.write(f"{name}, blur {blur:g} px: {found:.2f} of synthetic found, {passed:.2f} of real pass\n")
            sys.stdout.flush()
    rank = spearmanr([found for found, _ in shares], [passed for _, passed in shares]).statistic
    sys.stdout.write(f"rank correlation over {len(shares)} engines: {rank:.2f} (-1: the order of both is the same)\n")
    if options.json:
        options.json.write_text(json.dumps({"rank_correlation": round(rank, 3), "engines": rows}, indent=1) + "\n")
    return 0


def measured(source: Path, blur: float, folder: Path, count: int, trials_each: int) -> tuple[float, float, list[str]]:
    """Share of the synthetic defects found and of the real ones that pass, at the review limit; the sizes in words."""
    good = spread(sorted((source / "train" / "good").iterdir()), count)
    bad = [
        file for kind in sorted((source / "test").iterdir()) if kind.name != "good" for file in sorted(kind.iterdir())
    ]
    copy(good, folder / "good", blur)
    copy(spread(bad, MAX_DEFECTIVE), folder / "bad", blur)
    located = locate(open_dataset(folder / "good"))
    detector = DETECTORS["spatial"](located.input, "lite0")
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
