"""`python -m engines.training`: teach an engine from a folder of good images."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

from engines.detectors import DETECTORS
from engines.errors import EngineError
from engines.training.errors import TrainingError
from engines.training.irp import IrpOptions
from engines.training.progress import JsonReporter, Reporter, RichReporter
from engines.training.teach import TeachOptions, summary_as_dict, teach

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 bad input or failed training, 130 interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    training = TeachOptions().training
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
                TeachOptions(
                    detector=options.detector,
                    false_reject_budget=options.false_reject_budget,
                    seed=options.seed,
                    threads=options.threads,
                    refinement=IrpOptions(factor=options.factor, max_rounds=options.rounds),
                    training=replace(training, steps=options.steps),
                    cache=options.cache,
                ),
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


def _parser() -> argparse.ArgumentParser:
    defaults = TeachOptions()
    parser = argparse.ArgumentParser(prog="python -m engines.training", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="MVTec layout (train/good) or a folder of images")
    parser.add_argument("--output", type=Path, required=True, help="new directory for the engine")
    parser.add_argument("--detector", choices=sorted(DETECTORS), default=defaults.detector)
    parser.add_argument(
        "--false-reject-budget",
        type=float,
        default=defaults.false_reject_budget,
        help="share of good parts that may be rejected (default %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=defaults.threads, help="CPU threads (default %(default)s)")
    parser.add_argument(
        "--lambda",
        dest="factor",
        type=float,
        default=defaults.refinement.factor,
        help="refinement removes images that score above this times the median (default %(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=defaults.refinement.max_rounds, help="rounds of refinement, 0: none"
    )
    parser.add_argument(
        "--steps", type=int, default=defaults.training.steps, help="training steps, 0: closed form only"
    )
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--progress", choices=("json", "rich", "none"), default="rich")
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM as Ctrl-C: temporary files are removed on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
