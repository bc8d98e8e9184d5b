"""`python -m engines.training`: teach an engine from a folder of good images."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from engines.bundle.manifest import VARIANTS_ANSWERS, VariantsAnswer
from engines.detectors.catalogue import DETECTORS
from engines.teach_request import add_options, request_from
from engines.training.blocks.kept import BlockOptions, block_weights
from engines.training.calibration.price import capped
from engines.training.fitting.train import TrainOptions
from engines.training.images.ignored_regions import box, polygons
from engines.training.learn import LearnOptions
from engines.training.location.locate import METHODS, LocateOptions
from engines.training.progress import JsonReporter, Reporter, RichReporter, run_reported
from engines.training.refinement.records import REFINEMENTS, RefineOptions
from engines.training.summary import summary_as_dict
from engines.training.teach import TeachOptions, teach

_ANSWERS: dict[str, VariantsAnswer | None] = {"ask": None, **{answer: answer for answer in VARIANTS_ANSWERS}}


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 bad input or failed training, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    reporters: dict[str, Reporter] = {
        "json": JsonReporter(),
        "rich": RichReporter(quiet=False),
        "none": RichReporter(quiet=True),
    }
    reporter = reporters[options.progress]

    def work() -> None:
        teaching = _teach_options(options, tuple(arguments or sys.argv[1:]))
        manifest, summary = teach(options.images, options.output, teaching, reporter.step)
        reporter.done(manifest.engine_id, summary_as_dict(summary))

    return run_reported(reporter, work, interrupted="interrupted; nothing was written")


def _teach_options(options: argparse.Namespace, arguments: tuple[str, ...]) -> TeachOptions:
    request = request_from(options)
    defaults = LocateOptions()
    return TeachOptions(
        detector=request.detector,
        backbone=str(request.backbone),
        seed=request.seed,
        threads=request.threads,
        learning=LearnOptions(
            refinement=RefineOptions(
                method=request.refine,
                factor=options.factor,
                largest_only=options.largest_only,
                max_rounds=options.rounds,
                max_removed_share=options.max_removed_share,
                variants=_ANSWERS[request.variants],
            ),
            training=TrainOptions(steps=request.steps),
            false_reject_budget=request.false_reject_budget,
            review_budget=capped(
                request.review_budget,
                request.false_reject_budget,
                request.parts_per_hour,
                request.max_reviews_per_hour,
            ),
        ),
        location=LocateOptions(
            method=request.location,
            ignore=polygons(request.ignore) if request.ignore else defaults.ignore,
            template_box=box(request.template_box) if request.template_box else defaults.template_box,
            template_max_angle_deg=request.template_angle_deg,
        ),
        parts_per_hour=request.parts_per_hour,
        cache=request.cache,
        defect_trials=request.defect_trials,
        pixel_size_mm=request.pixel_size_mm,
        reference_pictures=request.reference_pictures,
        int8=request.int8,
        known_good=request.known_good,
        known_bad=request.known_bad,
        veto=request.veto,
        blocks=BlockOptions(
            request.earlier,
            tuple(name for name in request.without.split(",") if name),
            block_weights(request.weigh),
            request.block,
        ),
        prior=request.prior,
        command=tuple(options.shown_command) or ("python", "-m", "engines.training", *arguments),
    )


def _parser() -> argparse.ArgumentParser:
    refinement = RefineOptions()
    parser = argparse.ArgumentParser(prog="python -m engines.training", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="MVTec layout (train/good) or a folder of images")
    parser.add_argument("--output", type=Path, required=True, help="new directory for the engine")
    add_options(
        parser,
        detector={"choices": sorted(DETECTORS)},
        location={"choices": sorted(METHODS)},
        refine={"choices": REFINEMENTS},
        variants={"choices": tuple(_ANSWERS)},
        ignore={"type": _readable_by(polygons)},
        template_box={"type": _readable_by(box)},
    )
    parser.add_argument(
        "--lambda",
        dest="factor",
        type=float,
        default=refinement.factor,
        help="irp and osr remove images that score above this times the median (default %(default)s)",
    )
    parser.add_argument(
        "--largest-only",
        action="store_true",
        help="irp removes one image per round (the paper's algorithm 1), not all above the limit (its equation 6)",
    )
    parser.add_argument(
        "--rounds", type=int, default=refinement.max_rounds, help="rounds of refinement, 0: as many as the method needs"
    )
    parser.add_argument(
        "--max-removed-share",
        type=float,
        default=refinement.max_removed_share,
        help="never remove more than this share (default %(default)s)",
    )
    parser.add_argument(
        "--shown-command",
        type=shlex.split,
        default=[],
        metavar="COMMAND",
        help="what the dossier shows to start this again (default: this command)",
    )
    parser.add_argument("--progress", choices=("json", "rich", "none"), default="rich")
    return parser


def _readable_by(read: Callable[[str], object]) -> Callable[[str], str]:
    """Type of an option that stays text, after a look at whether it can be read."""

    def checked(text: str) -> str:
        read(text)
        return text

    return checked


if __name__ == "__main__":
    sys.exit(main())
