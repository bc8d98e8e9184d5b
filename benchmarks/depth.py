"""From which depth on dents are found, in multiples of the noise of a 3-D camera; and what a frame of heights costs.

    python -m benchmarks.depth [--trials 120] [--good 60] [--texture 2] [--json FILE] [--plot FILE]
    python -m benchmarks.depth --cost [--json FILE]

Surfaces of 256 x 256 px: grooves as texture, a tilt of up to 2 degrees, white noise, 2 % of the pixels without a height
(specks and spots), and beside them an intensity with an albedo of its own that dents show in by their shading alone.
Dents are Gaussian, 6, 12 and 24 px wide at half depth, from half to fifty times the noise deep, on a log scale.

One engine is taught for each way to look: height alone, the two slopes alone, all three, intensity alone; each as
`station teach` does it, but for the search for dirt. A dent counts as found when its part does not pass. *Beside*: it
is found by heights and slopes or by the intensity, as two views of a part are joined. The curve is that of decision 22:
a90/95 is the depth that is found with 90 % probability at 95 % confidence.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import InputSpec
from engines.engine import Engine, open_engine
from engines.inputs.depth import Heights, depth_picture
from engines.inputs.depth_spec import Channel, DepthSpec
from engines.preprocess import place, prepare
from engines.teach_request import TeachRequest
from engines.training.synthesis.fit import fit
from station.jobs.teaching import teach
from station.line.inspection.missing import without_missing
from station.records.images import write_image
from station.results import Scores

SIDE_PX = 256
SCALE_MM = 0.0005
NOISE_MM = 0.005
AT_MM = 15.0
MISSING = 0.02
TEXTURE = 2.0
"""Standard deviation of the grooves, in multiples of the noise."""
WIDTHS_PX = (6, 12, 24)
DEPTHS = (0.5, 50.0)
"""In multiples of the noise."""
RANGE_MM, SLOPE_MM = 40 * NOISE_MM, 10 * NOISE_MM
WAYS: dict[str, tuple[Channel, ...]] = {
    "height": ("height",),
    "slopes": ("slope_x", "slope_y"),
    "height and slopes": ("height", "slope_x", "slope_y"),
    "intensity": ("intensity",),
}
BESIDE = "height and slopes, intensity beside"
INVALID = 0


@dataclass(frozen=True)
class Surface:
    """What a 3-D camera sends of one part."""

    values: NDArray[np.uint16]
    intensity: NDArray[np.uint8]

    def picture(self, spec: DepthSpec) -> NDArray[np.uint8]:
        return depth_picture(self.values, SCALE_MM, 0.0, INVALID, spec, intensity=self.intensity)


def spec_of(way: str) -> DepthSpec:
    return DepthSpec(RANGE_MM, SLOPE_MM, WAYS[way])


def surface(
    seed: int, *, depth_mm: float = 0.0, width_px: float = 12.0, side: int = SIDE_PX, texture: float = TEXTURE
) -> Surface:
    """A part; with a dent of this depth somewhere that is not at its edge. `texture`: of the grooves, in noises."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)).astype(np.float64)
    tilt = np.tan(np.radians(rng.uniform(-2, 2, 2))) * 0.05  # of pixels of 0.05 mm
    grooves = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), sigmaX=12, sigmaY=1.5)
    grooves *= texture * NOISE_MM / grooves.std()
    heights = grooves
    if depth_mm:
        at = rng.uniform(2 * max(WIDTHS_PX), side - 2 * max(WIDTHS_PX), 2)
        sigma = width_px / 2.3548
        heights = heights - depth_mm * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma**2))
    rise_x, rise_y = np.gradient(heights, axis=1) / 0.05, np.gradient(heights, axis=0) / 0.05
    shade = (1 + rise_x + rise_y) / np.sqrt(3 * (1 + rise_x**2 + rise_y**2))
    albedo = 1 + 0.05 * cv2.GaussianBlur(rng.normal(0, 4, (side, side)), (0, 0), 2)
    intensity = np.clip(200 * shade * albedo + rng.normal(0, 3, (side, side)), 0, 255).astype(np.uint8)
    measured = AT_MM + heights + tilt[0] * x + tilt[1] * y + rng.normal(0, NOISE_MM, (side, side))
    values = np.rint(measured / SCALE_MM).astype(np.uint16)
    spots = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), 3)
    values[spots > np.quantile(spots, 1 - MISSING / 2)] = INVALID
    values[rng.random((side, side)) < MISSING / 2] = INVALID
    return Surface(values, intensity)


class Eye:
    """One engine on one way to look at surfaces, as the line does."""

    def __init__(self, way: str, folder: Path, good: int, texture: float) -> None:
        self.spec = spec_of(way)
        images = folder / "images"
        images.mkdir(parents=True)
        for seed in range(good):
            seen = surface(seed, texture=texture)
            heights = Heights(seen.values, SCALE_MM, 0.0, INVALID, self.spec)
            write_image(images / f"{seed:04}.png", seen.picture(self.spec), heights)
        request = TeachRequest(refine="none", defect_trials=0, reference_pictures=0, location="none")
        teach(images, folder / "engine", request)
        self.engine: Engine = open_engine(folder / "engine", threads=2)
        self.review = self.engine.calibration.review_score
        self.reject = self.engine.calibration.reject_score

    def score(self, seen: Surface) -> float:
        output = self.engine.score(seen.picture(self.spec))
        scores = Scores(
            output.image_score, output.anomaly_map, 0, 0, output.model_map, output.placement
        )  # fmt: skip
        missing = seen.values == INVALID
        spec = self.engine.manifest.input
        return without_missing(scores, missing, spec, self.engine.score_rule).image_score


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Scores of good surfaces and of dents by every engine, and the curves that follow."""
    with tempfile.TemporaryDirectory(prefix="depth-") as temporary:
        eyes = {}
        for way in WAYS:
            began = time.monotonic()
            eyes[way] = Eye(way, Path(temporary) / way.replace(" ", "-"), options.good, options.texture)
            sys.stdout.write(f"{way}: taught in {time.monotonic() - began:.0f} s\n")
            sys.stdout.flush()
        rng = np.random.default_rng(7)
        fresh = [surface(100_000 + number, texture=options.texture) for number in range(options.fresh)]
        doubted = {way: np.array([eye.score(one) > eye.review for one in fresh]) for way, eye in eyes.items()}
        result: dict[str, Any] = {"good": {way: float(found.mean()) for way, found in doubted.items()}, "widths": {}}
        result["good"][BESIDE] = float((doubted["height and slopes"] | doubted["intensity"]).mean())
        for width in WIDTHS_PX:
            depths = np.exp(rng.uniform(np.log(DEPTHS[0]), np.log(DEPTHS[1]), options.trials))
            dents = [
                surface(
                    200_000 + 1000 * width + number,
                    depth_mm=float(depth) * NOISE_MM,
                    width_px=width,
                    texture=options.texture,
                )
                for number, depth in enumerate(depths)
            ]
            found = {way: np.array([eye.score(one) > eye.review for one in dents]) for way, eye in eyes.items()}
            found[BESIDE] = found["height and slopes"] | found["intensity"]
            result["widths"][width] = {way: _curve(depths, hits) for way, hits in found.items()}
            sys.stdout.write(f"{width} px wide: {_line(result['widths'][width])}\n")
            sys.stdout.flush()
        for eye in eyes.values():
            eye.engine.close()
    return result


def _curve(depths: NDArray[np.float64], hits: NDArray[np.bool_]) -> dict[str, Any]:
    curve = fit(depths, hits, *DEPTHS)
    return {
        "trials": curve.trials,
        "found": curve.found,
        "half": curve.half_px,
        "steepness": curve.steepness,
        "a90_95": curve.from_px,
        "depths": [round(float(depth), 3) for depth in depths],
        "hits": [bool(hit) for hit in hits],
    }


def _line(curves: dict[str, dict[str, Any]]) -> str:
    return "; ".join(
        f"{way} {'not found' if curve['a90_95'] is None else format(curve['a90_95'], '.1f')}"
        for way, curve in curves.items()
    )


def plot(result: dict[str, Any], file: Path) -> None:
    """The curves, one panel a width."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(1, len(WIDTHS_PX), figsize=(13, 5.2), sharey=True, layout="constrained")
    at = np.geomspace(*DEPTHS, 200)
    colours = dict(zip([*WAYS, BESIDE], ("#1b6ca8", "#d2691e", "#111111", "#8a8a8a", "#3c9d4e"), strict=True))
    for axis, width in zip(axes, WIDTHS_PX, strict=True):
        for way, curve in result["widths"][width].items():
            share = 1 / (1 + np.exp(-curve["steepness"] * (np.log(at) - np.log(curve["half"]))))
            from_depth = curve["a90_95"]
            label = f"{way}: " + ("not found" if from_depth is None else f"from {from_depth:.1f}")
            axis.plot(at, share, color=colours[way], label=label, linestyle="--" if way == BESIDE else "-")
            if from_depth is not None:
                axis.plot([from_depth], [0.9], "o", color=colours[way], markersize=5)
        axis.axhline(0.9, color="#cccccc", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_xticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
        axis.set_title(f"dents {width} px wide")
        axis.set_xlabel("depth / noise of a pixel")
        axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), title="90 % found, at 95 % confidence")
    axes[0].set_ylabel("probability that the part does not pass")
    figure.savefig(file, dpi=110)


def cost(rounds: int) -> dict[str, float]:
    """Processor time (ms, the shortest) to prepare a frame of 1024 x 1024 px: heights with 2 % missing, and grey."""
    spec = InputSpec(width=256, height=256)
    seen = surface(1, side=1024)
    whole = np.where(seen.values == INVALID, np.uint16(30_000), seen.values)
    missing = seen.values == INVALID
    out = np.empty((1024, 1024, 3), np.uint8)
    ways: dict[str, Callable[[], object]] = {
        "grey: model input": lambda: prepare(seen.intensity, spec),
        "heights: picture": lambda: seen_picture(seen.values, out),
        "heights: picture, none missing": lambda: seen_picture(whole, out),
        "heights: model input": lambda: prepare(out, spec),
        "heights: missing places": lambda: seen.values == INVALID,
        "heights: cells that count": partial(_cells, missing, spec),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 3):
        for name, call in ways.items():
            began = time.process_time()
            call()
            if number >= 3:
                taken[name].append((time.process_time() - began) * 1e3)
    found = {name: min(times) for name, times in taken.items()}
    whole_ms = sum(ms for name, ms in found.items() if name.startswith("heights") and "none" not in name)
    found["ratio"] = whole_ms / found["grey: model input"]
    return found


def seen_picture(values: NDArray[np.uint16], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return depth_picture(values, SCALE_MM, 0.0, INVALID, spec_of("height and slopes"), out=out)


def _cells(missing: NDArray[np.bool_], spec: InputSpec) -> Scores:
    cells = np.zeros((32, 32), np.float32)
    scores = Scores(1.0, cells, 0, 1, cells, place(missing.shape[1], missing.shape[0], spec))
    return without_missing(scores, missing, spec, None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=120, help="dents of each width (default %(default)s)")
    parser.add_argument("--good", type=int, default=60, help="surfaces to teach from (default %(default)s)")
    parser.add_argument("--texture", type=float, default=TEXTURE, help="grooves, in noises (default %(default)s)")
    parser.add_argument("--fresh", type=int, default=100, help="good surfaces to judge (default %(default)s)")
    parser.add_argument("--cost", action="store_true", help="processor time of a frame alone")
    parser.add_argument("--rounds", type=int, default=100, help="of --cost (default %(default)s)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    result: dict[str, Any] = cost(options.rounds) if options.cost else measured(options)
    sys.stdout.write(json.dumps({name: value for name, value in result.items() if name != "widths"}, indent=1) + "\n")
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else {}
        key = "cost_ms" if options.cost else f"curves, texture {options.texture:g}"
        options.json.write_text(json.dumps({**before, key: result}, indent=1) + "\n")
    if options.plot and not options.cost:
        plot(result, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
