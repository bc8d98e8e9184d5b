"""`python -m engines.training.evaluation`: measure detectors and refinements on data sets with known truth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from engines.cores import usable_cores
from engines.detectors.catalogue import MEASURED
from engines.errors import TrainingError
from engines.training.evaluation.layouts import RECOGNISED, open_sets
from engines.training.evaluation.prepare import LocatedSet, open_images
from engines.training.evaluation.protocol import MAX_NOISE_PERCENT
from engines.training.evaluation.report import write_report
from engines.training.evaluation.results import BY_PART, CONTAMINATED, RANDOM, STANDARD, ResultFolder, Run, write_json
from engines.training.evaluation.runner import ALL_REFINEMENTS, EvaluateOptions
from engines.training.evaluation.source import source_sha256
from engines.training.evaluation.workers import Plan, execute
from engines.training.progress import JsonReporter, Reporter, RichReporter, run_reported

SPLITS = {"clean": STANDARD, "random": RANDOM, "by-part": BY_PART}
"""What `--noise` takes beside percent."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done (failed runs are in the report), 2 bad input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    reporters: dict[str, Callable[[], Reporter]] = {
        "json": JsonReporter,
        "rich": lambda: RichReporter(quiet=False),
        "none": lambda: RichReporter(quiet=True),
    }
    reporter = reporters[options.progress]()
    interrupted = "interrupted; what is done is kept: start again with the same options to go on"
    return run_reported(reporter, lambda: evaluate(options, reporter), interrupted=interrupted)


def evaluate(options: argparse.Namespace, reporter: Reporter) -> None:
    """Do all runs that are not done yet, then write `results.json` and the report."""
    folder = ResultFolder(options.output)
    folder.create()
    if not options.report_only:
        if not options.dataset:
            raise TrainingError(f"no data set given; --dataset takes a folder in one of these layouts: {RECOGNISED}")
        sets = _inspect(options.dataset, reporter)
        for data in sets:
            _write_truth(folder, data)
        plan = Plan(
            runs=tuple(_grid(options, [data.labels.name for data in sets])),
            sets=sets,
            options=EvaluateOptions(
                options.backbone, options.steps, options.false_reject_budget, options.review_budget
            ),
            source=source_sha256(),
            output=options.output,
            cache=options.cache or options.output / "features",
            jobs=options.jobs,
            accept_other_source=options.accept_other_source,
            retry_failed=options.retry_failed,
        )
        try:
            execute(plan, reporter.step)
        finally:
            folder.write_all()
    reporter.step("report", 0, 1)
    folder.write_all()
    write_report(folder)
    reporter.step("report", 1, 1)


def _inspect(folders: list[Path], reporter: Reporter) -> tuple[LocatedSet, ...]:
    labelled = open_sets(folders)
    total = sum(len(labels.samples) for labels in labelled)
    done = 0

    def on_image() -> None:
        nonlocal done
        done += 1
        reporter.step("images", done, total)

    return tuple(open_images(labels, on_image) for labels in labelled)


def _write_truth(folder: ResultFolder, data: LocatedSet) -> None:
    """What the report needs to show images."""
    samples = [
        {"path": str(sample.path), "defect": sample.defect, "mask": str(sample.mask) if sample.mask else None}
        for sample in data.labels.samples
    ]
    labels = data.labels
    content = {
        "name": labels.name,
        "layout": labels.layout,
        "folder": str(labels.folder),
        "sha256": data.sha256,
        "location": data.description,
        "samples": samples,
    }
    write_json(folder.sets / f"{labels.name}.json", content)


def _grid(options: argparse.Namespace, names: list[str]) -> list[Run]:
    """All runs, seed by seed, so that the first seed of everything is there early."""
    noises = [(0, SPLITS[noise]) if noise in SPLITS else (int(noise), CONTAMINATED) for noise in options.noise]
    return [
        Run(name, detector, refine, noise, seed, protocol)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for noise, protocol in noises
        for name in names
        for detector in options.detector
        for refine in options.refine
    ]


def _parser() -> argparse.ArgumentParser:
    defaults = EvaluateOptions()
    parser = argparse.ArgumentParser(prog="python -m engines.training.evaluation", description=__doc__)
    parser.add_argument("--dataset", type=Path, action="append", help=f"repeatable; recognised are {RECOGNISED}")
    parser.add_argument("--detector", type=_names(MEASURED), default=["spatial"], help="NAME,NAME (default spatial)")
    parser.add_argument(
        "--refine", type=_names(ALL_REFINEMENTS), default=list(ALL_REFINEMENTS), help=",".join(ALL_REFINEMENTS)
    )
    parser.add_argument(
        "--noise",
        type=_noises,
        default=_noises("0,10,20,30,40,50"),
        help="shares of defective training images in percent; "
        "clean: the split of the data set itself; random, by-part: divided anew (default 0,10,20,30,40,50)",
    )
    parser.add_argument("--seeds", type=_at_least_one, default=3, help="number of seeds (default 3)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="results, report and features; used again")
    parser.add_argument("--jobs", type=_at_least_one, default=usable_cores(), help="processes (default: cores)")
    parser.add_argument("--cache", type=Path, help="folder of the features (default OUTPUT/features)")
    parser.add_argument("--backbone", default=defaults.backbone)
    parser.add_argument("--steps", type=int, help="training steps, 0: closed form only (default: the detector's own)")
    parser.add_argument("--false-reject-budget", type=float, default=defaults.false_reject_budget)
    parser.add_argument("--review-budget", type=float, default=defaults.review_budget)
    parser.add_argument("--report-only", action="store_true", help="only write the report anew")
    parser.add_argument("--retry-failed", action="store_true", help="do failed runs again")
    parser.add_argument(
        "--accept-other-source", action="store_true", help="keep results of other versions of source, data and options"
    )
    parser.add_argument("--progress", choices=("json", "rich", "none"), default="rich")
    return parser


def _names(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """A type for lists of these names."""
    known = list(allowed)

    def parse(text: str) -> list[str]:
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f'unknown "{name}"; known: {", ".join(known)}')
        return list(dict.fromkeys(text.split(",")))

    return parse


def _noises(text: str) -> list[str]:
    for noise in text.split(","):
        if noise not in SPLITS and not (noise.isdecimal() and int(noise) <= MAX_NOISE_PERCENT):
            raise argparse.ArgumentTypeError(f'"{noise}": allowed are 0 to {MAX_NOISE_PERCENT}, {", ".join(SPLITS)}')
    return list(dict.fromkeys(text.split(",")))


def _at_least_one(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f'"{text}": at least 1')
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
