"""An engine that runs: one image in, one score and one map out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration, Manifest, MapScore
from engines.bundle.reading import Bundle, Golden, read_bundle
from engines.errors import EngineError, GoldenMismatch, ImageError, PartNotLocated
from engines.ignored_zones import score_of
from engines.location.location import Location
from engines.location.pose import TurnedPlacement
from engines.preprocess import Fitted, Placement, place, prepare
from engines.runtimes.names import Asked, Precision
from engines.runtimes.opening import Opened, RuntimeOptions, open_runtime
from engines.runtimes.protocol import Inferred
from engines.runtimes.signature import scored_map, shown_map

ASPECT_TOLERANCE = 0.02
"""Relative difference of width / height between the taught images and a camera that is still the same view."""


Prepared = NDArray[np.uint8] | Fitted | PartNotLocated
"""An image on its way to the runtime: as it came, in the model's format, or without the part that should be in it."""


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """What the engine says of one image."""

    image_score: float
    """Higher is more anomalous; NaN when any cell of the map is not finite."""
    anomaly_map: NDArray[np.float32]
    """(rows, columns) of the map that is shown; covers exactly the image. What the model did not see has its lowest
    value."""
    start_ns: int
    end_ns: int
    """CLOCK_MONOTONIC around the bare call of the runtime; the same for images that were scored together. Where the
    runtime prepares frames that is part of it.
    """
    model_map: NDArray[np.float32]
    """(map_height, map_width) over the model's input: the map that the score follows from."""
    placement: Placement | TurnedPlacement
    """Where the image lies in that input."""
    kind: str = ""
    """The kind of defect that the worst place looks like, or `unknown`; empty: the engine knows no kinds. It says
    nothing of whether there is a defect."""


class Engine:
    """A bundle on a runtime. One thread owns it.

    Args:
        bundle: the engine on disk.
        opened: what executes its graph; the engine closes it.
    """

    def __init__(self, bundle: Bundle, opened: Opened) -> None:
        self.path = bundle.path
        self.choice = opened.choice
        self._tolerance = opened.tolerance
        self.manifest: Manifest = bundle.manifest
        self._runtime = opened.runtime
        self.score_rule: MapScore | None = None
        """How the image score follows from the map; None: it does not, or the golden images were not run yet."""
        self._location = Location(self.manifest.location, ignore=self.manifest.ignore, pictures=bundle.pictures)
        self._frames = frames = opened.frames
        self._framing: Fitted | None = None
        if frames is not None and frames.frame_shape is not None:
            # Only the pixels differ from frame to frame, and these are not looked at here.
            self._framing = prepare(np.zeros(frames.frame_shape, np.uint8), self.manifest.input, self._location)

    @property
    def engine_id(self) -> str:
        """Hash of the engine's content, 64 hex digits."""
        return self.manifest.engine_id

    @property
    def calibration(self) -> Calibration:
        """Limits on the scores."""
        return self.manifest.calibration

    @property
    def location(self) -> Location:
        """How the part is found in an image."""
        return self._location

    def score(self, image: NDArray[np.uint8]) -> EngineOutput:
        """Score one image of any size: uint8 (height, width) grey or (height, width, 3) RGB.

        Raises:
            ImageError: wrong type or shape.
            PartNotLocated: there is nothing to score.
            RuntimeFailure: the model could not be executed.
        """
        (output,) = self.score_batch([image])
        if isinstance(output, PartNotLocated):
            raise output
        return output

    def prepare(self, image: NDArray[np.uint8]) -> Prepared:
        """Everything that comes before the runtime, for `score_batch`. Any thread may call it, while the engine runs.

        Raises:
            ImageError: wrong type or shape.
        """
        return image if self._prepares(image) else self._fit(image)

    def score_batch(self, images: Sequence[Prepared]) -> list[EngineOutput | PartNotLocated]:
        """Score images, prepared or not, in one call of the runtime: their outputs in order, or why one was not scored.

        Raises:
            ImageError: one of them has the wrong type or shape.
            RuntimeFailure: the model could not be executed.
        """
        frames, framing = self._frames, self._framing
        raw = [image for image in images if isinstance(image, np.ndarray) and self._prepares(image)]
        if frames is not None and framing is not None and raw and len(raw) == len(images):
            return list(self._timed([framing] * len(raw), partial(frames.infer_frames, raw)))
        fitted = [self._fit(image) if isinstance(image, np.ndarray) else image for image in images]
        found = [one for one in fitted if isinstance(one, Fitted)]
        if not found:
            return [one for one in fitted if isinstance(one, PartNotLocated)]
        inputs = found[0].pixels[np.newaxis] if len(found) == 1 else np.stack([one.pixels for one in found])
        outputs = iter(self._timed(found, partial(self._runtime.infer, inputs)))
        return [next(outputs) if isinstance(one, Fitted) else one for one in fitted]

    def _prepares(self, image: NDArray[np.uint8]) -> bool:
        """The runtime prepares images of this shape itself."""
        frames = self._frames
        return frames is not None and image.shape == frames.frame_shape and image.dtype == np.uint8

    def _fit(self, image: NDArray[np.uint8]) -> Fitted | PartNotLocated:
        try:
            return prepare(image, self.manifest.input, self._location)
        except PartNotLocated as problem:
            return problem

    def _timed(self, fitted: Sequence[Fitted], infer: Callable[[], Inferred]) -> list[EngineOutput]:
        start_ns = time.monotonic_ns()
        image_scores, maps = infer()
        end_ns = time.monotonic_ns()
        size = self.manifest.map
        kinds = self._kinds(len(fitted))
        return [
            EngineOutput(
                # A NaN may get lost in a maximum: what is not finite anywhere must not look like a score.
                image_score=float(image_score) if bool(np.isfinite(layers).all()) else float("nan"),
                anomaly_map=one.frame_map(shown_map(layers, size)),
                start_ns=start_ns,
                end_ns=end_ns,
                model_map=scored_map(layers, size),
                placement=one.placement,
                kind=kind,
            )
            for one, image_score, layers, kind in zip(fitted, image_scores, maps, kinds, strict=True)
        ]

    def _kinds(self, count: int) -> list[str]:
        """Of the images that were scored last."""
        likenesses, known = self._runtime.kinds, self.manifest.kinds
        if likenesses is None or known is None:
            return [""] * count
        return [known.name_of(row) for row in likenesses.tolist()]

    def check_golden(self, golden: tuple[Golden, ...], pace: Callable[[], None] = lambda: None) -> None:
        """Run the golden images: what the model sees, so without location. Also finds `score_rule` true or not.

        Args:
            pace: called before each image; it may wait.

        Raises:
            GoldenMismatch: a score differs from the released one by more than the tolerance.
        """
        rule = self.manifest.score_rule
        for entry in golden:
            pace()
            image_scores, maps = self._runtime.infer(entry.image[np.newaxis])
            score, peak = float(image_scores[0]), float(maps[0].max())
            allowed_score, allowed_peak = self._allowed(entry)
            scored = scored_map(maps[0], self.manifest.map)
            if rule is not None and not abs(score_of(scored, scored.size, rule) - score) <= allowed_score:
                rule = None
            for what, value, expected, allowed in (
                ("image_score", score, entry.image_score, allowed_score),
                ("map_peak", peak, entry.map_peak, allowed_peak),
            ):
                if not abs(value - expected) <= allowed:  # written so that NaN fails
                    raise GoldenMismatch(
                        f'engine "{self.path}", golden image {entry.name}: {what} {value:.5g}, expected {expected:.5g} '
                        f"within {allowed:.3g}; {self.choice.name} computes something else here: do not use it, teach "
                        "again here"
                    )

        self.score_rule = rule
        said, named = self._runtime.kinds, self.manifest.kinds
        graph, manifest = (0 if said is None else said.shape[1]), (0 if named is None else len(named.names))
        if graph != manifest:
            raise GoldenMismatch(
                f'engine "{self.path}": its graph knows {graph} kinds of defects, its manifest names {manifest}; '
                "teach again"
            )

    def place(self, height: int, width: int) -> Placement | None:
        """Where images of this size (px) lie in the model's input; None: where the part is found, image by image."""
        return place(width, height, self.manifest.input) if self.manifest.location.method == "none" else None

    def _allowed(self, entry: Golden) -> tuple[float, float]:
        """By how much score and peak of the map of a golden image may differ."""
        if self._tolerance is None:
            tolerance = self.manifest.golden_tolerance
            return tolerance * max(1.0, abs(entry.image_score)), tolerance * max(1.0, abs(entry.map_peak))
        limits = self.calibration
        to_limit = max(limits.reject_score - limits.typical_score, abs(entry.image_score - limits.typical_score))
        to_region = max(limits.pixel_score - limits.typical_peak, abs(entry.map_peak - limits.typical_peak))
        return self._tolerance.score_share * to_limit, self._tolerance.map_share * to_region

    def check_camera(self, height: int, width: int, *, grey: bool) -> None:
        """Raise ImageError when images of this size and kind are not what the engine was taught on."""
        taught = self.manifest.training
        aspect = width / height
        low, high = taught.min_aspect * (1 - ASPECT_TOLERANCE), taught.max_aspect * (1 + ASPECT_TOLERANCE)
        taught_text = f"{taught.min_width}x{taught.min_height}..{taught.max_width}x{taught.max_height}"
        if not low <= aspect <= high:
            raise ImageError(
                f'engine "{self.path}" was taught on images of {taught_text}, width / height {taught.min_aspect:.3f} '
                f"to {taught.max_aspect:.3f}; the camera gives {width}x{height} ({aspect:.3f}); "
                "set Width and Height of the camera as they were, or teach again"
            )
        if grey != taught.grey:
            kinds = {True: "grey", False: "colour"}
            raise ImageError(
                f'engine "{self.path}" was taught on {kinds[taught.grey]} images, the camera gives {kinds[grey]}; '
                "set PixelFormat of the camera as it was, or teach again"
            )

    def close(self) -> None:
        """Give the runtime back; may be called twice."""
        self._runtime.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_engine(
    path: Path,
    *,
    runtime: Asked = "onnx",
    threads: int = 2,
    precision: Precision = "fp16",
    reason: str = "",
    expected_image_shape: tuple[int, ...] | None = None,
    pace: Callable[[], None] = lambda: None,
) -> Engine:
    """Read, check, load and warm up the engine in directory `path`.

    Args:
        path: the bundle.
        runtime: which one, or "auto": see `engines.runtimes.opening`.
        threads: CPU threads of one inference.
        precision: of TensorRT; the processor computes in float32.
        reason: why this runtime is asked for; empty: somebody has configured it.
        expected_image_shape: what the camera will give, (height, width) grey or (height, width, 3) RGB.
        pace: called before each piece of work that takes a while; it may wait for a better moment.

    Raises:
        BundleError, RuntimeFailure, GoldenMismatch, ImageError: all are `EngineError`; the message says what to do. Of
        RuntimeFailure, GpuUnusable and PlanUnusable say that TensorRT cannot be had.
    """
    bundle = read_bundle(path, pace)
    pace()
    engine = Engine(bundle, open_runtime(bundle, RuntimeOptions(runtime, threads, precision, reason)))
    try:
        if expected_image_shape is not None:
            engine.check_camera(*expected_image_shape[:2], grey=len(expected_image_shape) == 2)
        engine.check_golden(bundle.golden, pace)  # also warms the runtime up
    except EngineError:
        engine.close()
        raise
    return engine
