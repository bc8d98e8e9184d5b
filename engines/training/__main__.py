"""`python -m engines.training`: teach an engine from a folder of good images."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

from engines.detectors import DETECTORS
from engines.errors import EngineError, TrainingError
from engines.training.fitting.train import TrainOptions
from engines.training.images.ignored_regions import box, polygons
from engines.training.learn import LearnOptions
from engines.training.location.locate import METHODS, LocateOptions
from engines.training.progress import JsonReporter, Reporter, RichReporter
from engines.training.refinement import REFINEMENTS, RefineOptions
from engines.training.summary import summary_as_dict
from engines.training.teach import TeachOptions, teach

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 bad input or failed training, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    reporters: dict[str, Reporter] = {
        "json": JsonReporter(),
        "rich": RichReporter(quiet=False),
        "none": RichReporter(quiet=True),
    }
    with reporters[options.progress] as reporter:
        try:
            manifest, summary = teach(
                options.images,
                options.output,
                _teach_options(options, tuple(arguments or sys.argv[1:])),
                reporter.step,
            )
        except (TrainingError, EngineError) as error:
            reporter.error(str(error))
            return EXIT_BAD_INPUT
        except KeyboardInterrupt:
            reporter.error("interrupted; nothing was written")
            return EXIT_INTERRUPTED
        reporter.done(manifest.engine_id, summary_as_dict(summary))
    return 0


def _teach_options(options: argparse.Namespace, arguments: tuple[str, ...]) -> TeachOptions:
    return TeachOptions(
        detector=options.detector,
        backbone=options.backbone,
        seed=options.seed,
        threads=options.threads,
        learning=LearnOptions(
            refinement=RefineOptions(
                method=options.refine,
                factor=options.factor,
                largest_only=options.largest_only,
                max_rounds=options.rounds,
                max_removed_share=options.max_removed_share,
            ),
            training=TrainOptions(steps=options.steps),
            false_reject_budget=options.false_reject_budget,
        ),
        location=LocateOptions(
            method=options.location,
            ignore=options.ignore,
            template_box=options.template_box,
            template_max_angle_deg=options.template_angle_deg,
        ),
        cache=options.cache,
        int8=options.int8,
        known_good=options.known_good,
        known_bad=options.known_bad,
        veto=options.veto,
        command=tuple(options.shown_command) or ("python", "-m", "engines.training", *arguments),
    )


def _parser() -> argparse.ArgumentParser:
    defaults = TeachOptions()
    refinement = defaults.learning.refinement
    parser = argparse.ArgumentParser(prog="python -m engines.training", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="MVTec layout (train/good) or a folder of images")
    parser.add_argument("--output", type=Path, required=True, help="new directory for the engine")
    parser.add_argument("--detector", choices=sorted(DETECTORS), default=defaults.detector)
    parser.add_argument(
        "--backbone", default=defaults.backbone, help="lite0, lite1, lite2 or a file (default %(default)s)"
    )
    parser.add_argument(
        "--location", choices=sorted(METHODS), default=defaults.location.method, help="how the part is found"
    )
    parser.add_argument(
        "--ignore",
        type=polygons,
        default=defaults.location.ignore,
        metavar="REGIONS",
        help='what does not count: "x,y x,y x,y; ...", shares of the located part (the image without location)',
    )
    parser.add_argument(
        "--template-box",
        type=box,
        default=defaults.location.template_box,
        metavar="X,Y,W,H",
        help="for --location template: what to look for, shares of the image (default: its middle)",
    )
    parser.add_argument(
        "--template-angle-deg",
        type=float,
        default=defaults.location.template_max_angle_deg,
        metavar="DEG",
        help="for --location template: the part may be turned by up to this (default %(default)s, at most 30)",
    )
    parser.add_argument(
        "--false-reject-budget",
        type=float,
        default=defaults.learning.false_reject_budget,
        help="share of good parts that may be rejected (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=defaults.threads, help="CPU threads (default %(default)s)")
    parser.add_argument(
        "--refine",
        choices=REFINEMENTS,
        default=refinement.method,
        help="auto: held-out scores, images and places; irp, osr: as the papers; none: learn everything",
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
    parser.add_argument("--known-good", type=Path, metavar="FILE", help="images never to remove, one name per line")
    parser.add_argument("--known-bad", type=Path, metavar="FILE", help="images not to learn, one name per line")
    parser.add_argument("--veto", type=Path, metavar="FILE", help="removed images that are good after all")
    parser.add_argument("--steps", type=int, help="training steps, 0: closed form only (default: the detector's own)")
    parser.add_argument(
        "--int8", action="store_true", help="also a graph with the backbone in 8 bits, if it scores nearly the same"
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps features and rounds between runs")
    parser.add_argument(
        "--shown-command",
        type=shlex.split,
        default=[],
        metavar="COMMAND",
        help="what the dossier shows to start this again (default: this command)",
    )
    parser.add_argument("--progress", choices=("json", "rich", "none"), default="rich")
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM as Ctrl-C: temporary files are removed on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
