"""Loads an engine with the limits of its views: everything that turns frames into verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engines.bundle.manifest import Calibration, Manifest
from engines.bundle.picture_bands import EVERY_CAMERA, PictureBands, ValueBand
from engines.cores import usable_cores
from engines.engine import Engine, EngineOutput, Prepared, open_engine
from engines.errors import PartNotLocated, PlanUnusable
from engines.ignored_zones import FrameZone, IgnoredZones
from engines.inputs.depth_spec import DepthSpec
from engines.scale import LIMIT
from engines.signatures.trust import ANYBODY, Trust
from engines.store.signed import check_may_load
from engines.store.versions import is_there
from station.configuration.decision import QualitySection, ViewLimitsSection
from station.configuration.model import Configuration
from station.configuration.recipe import EngineSection
from station.line.inspection.inspector import Inspector, ViewLimits
from station.line.inspection.limits import LimitsError, join_rule, limits_of_view
from station.results import Pixels, Scores


@dataclass(frozen=True, slots=True)
class EngineScorer:
    """An engine as the inspection stage sees it."""

    engine: Engine
    give_back: Callable[[], None]
    """Closes the engine, or returns it to whoever keeps it warm; may be called twice."""

    def prepare(self, pixels: Pixels) -> Prepared:
        return self.engine.prepare(pixels)

    def score(self, prepared: Sequence[Prepared]) -> list[Scores | PartNotLocated]:
        outputs = self.engine.score_batch(prepared)
        return [output if isinstance(output, PartNotLocated) else _scores(output) for output in outputs]

    def close(self) -> None:
        self.give_back()


OpenScorer = Callable[[Path, EngineSection, int, str], EngineScorer]
"""(folder, how it is run, threads, `instead`) -> the engine, checked and warm. Raises EngineError."""


def open_scorer(
    path: Path, section: EngineSection, threads: int, instead: str, pace: Callable[[], None] = lambda: None
) -> EngineScorer:
    """Loads an engine of its own; closing it closes the engine. `pace`: see `open_engine`. Raises EngineError."""
    engine = _open_engine(path, section, threads, instead, pace)
    return EngineScorer(engine, engine.close)


def load_inspector(
    path: Path | None,
    settings: Configuration,
    frame_shapes: Mapping[str, tuple[int, ...]],
    *,
    trust: Trust = ANYBODY,
    threads: int | None = None,
    instead: str = "",
    opens: OpenScorer = open_scorer,
) -> Inspector | None:
    """The engine in the folder `path`, checked and warm, with the configured limits; None when it is not there yet.

    Args:
        frame_shapes: what the cameras give, by name; not checked for cameras that are not there.
        trust: who must have signed it.
        threads: of the engine; None: as configured.
        instead: why `auto` is to take the processor although there is a GPU; empty: it is not.
        opens: where the engine comes from.

    Raises EngineError (a link that leads nowhere or out of the store, bad bundle or signature, golden images, another
    camera, PlanUnusable: no plan for the GPU) and LimitsError.
    """
    if path is None or not is_there(path):
        return None
    threads = engine_threads(settings.engine.threads) if threads is None else threads
    scorer = opens(path, settings.engine, threads, instead)
    engine = scorer.engine
    try:
        if trust.required == "load":
            check_may_load(path, trust, engine.engine_id)
        for shape in frame_shapes.values():
            engine.check_camera(*shape[:2], grey=len(shape) == 2)
        calibration, taught = engine.calibration, engine.manifest
        check_depth(taught.depth, {name: camera.depth_spec for name, camera in settings.cameras.items()})
        default = view_limits(
            settings.decision, settings.quality, calibration, bands=bands_for(taught, None), camera=EVERY_CAMERA
        )
        default = replace(default, ignored=ignored_zones(settings.decision, engine, None, "[decision]"))
        views = {}
        for name in settings.cameras:
            where = f"[decision.views.{name}]" if name in settings.decision.views else "[decision]"
            decision, given = settings.decision_on(name), frame_shapes.get(name)
            limits = view_limits(
                decision, settings.quality_on(name), calibration, bands=bands_for(taught, given), camera=name,
                frame_shape=given, where=where,
            )  # fmt: skip
            views[name] = replace(limits, ignored=ignored_zones(decision, engine, given, where))
    except Exception:
        scorer.close()
        raise
    return Inspector(
        scorer=scorer,
        engine_id=engine.engine_id,
        scale=calibration.scale,
        pixel_scale=calibration.pixel_scale,
        default=default,
        views=views,
        joining=join_rule(settings),
        runtime=str(engine.choice),
        input=engine.manifest.input,
        score_rule=engine.score_rule,
        rejected_share=calibration.false_reject_budget,
        doubted_share=calibration.review_budget,
        held_out=tuple(
            calibration.scale.shown(score) for score in taught.held_out if score <= calibration.review_score
        ),
    )


def engine_threads(configured: int) -> int:
    """The configured number; for 0 all cores of this process but one, and at least one."""
    return configured or max(1, usable_cores() - 1)


def check_depth(taught: str | None, cameras: Mapping[str, DepthSpec | None]) -> None:
    """Whether 3-D cameras make the pictures that the engine was taught with: by other scales a dent looks like none.

    Args:
        taught: `DepthSpec.as_text` of the pictures it was taught with; None: they were not made of heights.
        cameras: how each makes pictures of heights; None: it is no 3-D camera.

    Raises LimitsError.
    """
    with_heights = {name: spec for name, spec in cameras.items() if spec is not None}
    again = "set it as it was, or teach again"
    if taught is not None and not with_heights:
        raise LimitsError(
            f"the engine was taught with pictures of heights ({taught}), no camera is a 3-D camera: {again}"
        )
    for name, spec in with_heights.items():
        if taught is None:
            raise LimitsError(
                f"[cameras.{name}.depth]: the engine was taught with pictures that were not made of heights: teach it "
                "with those of this camera"
            )
        if spec.as_text != taught:
            raise LimitsError(f"[cameras.{name}.depth] makes pictures by {spec.as_text}, taught were {taught}: {again}")


def view_limits(
    decision: ViewLimitsSection,
    quality: QualitySection,
    calibration: Calibration,
    *,
    bands: PictureBands | None,
    camera: str,
    frame_shape: tuple[int, ...] | None = None,
    where: str = "[decision]",
) -> ViewLimits:
    """The limits of one view; the threshold of a region becomes raw here, once. Raises LimitsError."""
    limits = limits_of_view(
        decision, quality, calibration, bands=bands, camera=camera, frame_shape=frame_shape, where=where
    )
    threshold = calibration.pixel_scale.raw(LIMIT if decision.pixel_score is None else decision.pixel_score)
    return ViewLimits(limits, threshold, decision.pixel_size_mm, decision.min_region_mm2)


def bands_for(manifest: Manifest, frame_shape: tuple[int, ...] | None) -> PictureBands | None:
    """What the engine learned of good pictures, as far as it may be held against frames of this shape; None: nothing.

    Frames of another size have another sharpness and another width, and those of a zoomed camera other places.
    """
    bands, taught = manifest.picture_bands, manifest.training
    if bands is None or frame_shape is None:
        return bands
    height, width = frame_shape[:2]
    if taught.min_width <= width <= taught.max_width and taught.min_height <= height <= taught.max_height:
        return bands
    free = {"sharpness": ValueBand(), "place_x": None, "place_y": None, "size": None}
    cameras = {name: band.model_copy(update=free) for name, band in bands.cameras.items()}
    return bands.model_copy(update={"cameras": cameras})


def ignored_zones(
    decision: ViewLimitsSection, engine: Engine, frame_shape: tuple[int, ...] | None, where: str
) -> IgnoredZones | None:
    """The zones that the image score of a view leaves out; None: there are none.

    Args:
        frame_shape: what the camera gives; None: not known, the size that the engine was taught on is taken.
        where: the section that a message names.

    Raises LimitsError: the engine's score cannot leave zones out, or not these.
    """
    if not any(zone.ignore for zone in decision.zones):
        return None
    if engine.score_rule is None:
        raise LimitsError(
            f"{where} zones with ignore = true: the score of detector {engine.manifest.detector} is of the whole "
            "frame, no zone can be left out; remove ignore, or teach with --detector spatial or memory"
        )
    zones = IgnoredZones(
        [FrameZone(zone.name, tuple(zone.polygon), zone.ignore) for zone in decision.zones], engine.score_rule
    )
    taught = engine.manifest.training
    height, width = (taught.max_height, taught.max_width) if frame_shape is None else frame_shape[:2]
    placement = engine.place(height, width)
    cells = engine.manifest.map
    if placement is not None and (problem := zones.problem(placement, (cells.height, cells.width))):
        raise LimitsError(f"{where} {problem}")
    return zones


def _open_engine(path: Path, section: EngineSection, threads: int, instead: str, pace: Callable[[], None]) -> Engine:
    if section.runtime == "auto" and instead:
        return open_engine(path, threads=threads, reason=f"chosen by auto, because {instead}", pace=pace)
    try:
        return open_engine(path, runtime=section.runtime, threads=threads, precision=section.precision, pace=pace)
    except PlanUnusable as problem:
        if section.runtime != "auto" or section.missing_plan == "build":
            raise
        return open_engine(path, threads=threads, reason=f"chosen by auto, because {problem}", pace=pace)


def _scores(output: EngineOutput) -> Scores:
    return Scores(
        output.image_score,
        output.anomaly_map,
        output.start_ns,
        output.end_ns,
        output.model_map,
        output.placement,
        output.kind,
    )
