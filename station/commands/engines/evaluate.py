"""`station evaluate`: how good detectors and refinements are on data sets with known truth."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from engines.cores import usable_cores
from engines.teach_request import name_or_file
from station.commands.options import add_json_option, complain, print_json
from station.jobs.process import JobError, run_job
from station.jobs.progress import ProgressBar
from station.jobs.teaching import as_arguments
from station.python_command import python_command
from station.terminal import coloured, console

_OPTIONS = (
    "detector",
    "refine",
    "noise",
    "seeds",
    "output",
    "jobs",
    "backbone",
    "steps",
    "false_reject_budget",
    "review_budget",
    "cache",
)
_SHOWN_FIRST = ("auto", "irp", "osr", "none", "oracle")
_SWITCHES = ("report_only", "retry_failed", "accept_other_source")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `evaluate`."""
    parser = commands.add_parser(
        "evaluate",
        help="measure detectors and refinements on data sets with known truth",
        description="Trains detectors on training sets into which defective images were mixed and tests them on images "
        "that they never saw. Writes results.json, report.md and pictures. What is done is not done again: it can be "
        "stopped and started at any time.",
    )
    parser.add_argument(
        "--dataset", type=Path, action="append", default=[], metavar="DIR", help="MVTec AD, KSDD2, KolektorSDD or VisA"
    )
    parser.add_argument("--detector", default="spatial", metavar="NAMES", help="NAME,NAME (default spatial)")
    parser.add_argument("--refine", default="oracle,none,osr,irp,auto", metavar="NAMES", help="default %(default)s")
    parser.add_argument(
        "--noise",
        default="0,10,20,30,40,50",
        metavar="PERCENT",
        help="defective share of the training sets; clean: the split of the data set itself; random, by-part: its good "
        "images divided anew, each by itself or all images of one part together (default %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="repetitions (default %(default)s)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="results, report and features")
    parser.add_argument("--jobs", type=int, default=usable_cores(), metavar="N", help="processes (default: cores)")
    parser.add_argument("--backbone", type=name_or_file, metavar="NAME", help="name or file of the frozen network")
    parser.add_argument("--steps", type=int, metavar="N", help="training steps (default: the detector's own number)")
    parser.add_argument("--false-reject-budget", type=float, default=0.01, metavar="SHARE", help="default %(default)s")
    parser.add_argument("--review-budget", type=float, default=0.1, metavar="SHARE", help="default %(default)s")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="features (default: in the output)")
    parser.add_argument("--report-only", action="store_true", help="only write the report anew")
    parser.add_argument("--retry-failed", action="store_true", help="do failed runs again")
    parser.add_argument(
        "--accept-other-source", action="store_true", help="keep results made by other versions of source or options"
    )
    add_json_option(parser, "report, failed, results")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Follows the evaluation and prints what came out; 1 when runs failed."""
    given = {name: getattr(options, name) for name in _OPTIONS}
    switches = {name: True for name in _SWITCHES if getattr(options, name)}
    arguments = as_arguments({**given, **switches, "progress": "json"})
    for dataset in options.dataset:
        arguments += as_arguments({"dataset": dataset})
    command = python_command("engines.training.evaluation", *arguments)
    try:
        with ProgressBar() as bar:
            # One thread per process: the processes share the cores.
            run_job(command, what="the evaluation", threads=1, on_progress=bar.show)
    except JobError as problem:
        return complain(problem)
    if options.json:
        found = as_json(options.output)
        print_json(found)
        return 1 if found["failed"] else 0
    return _show(options.output)


def as_json(output: Path) -> dict[str, Any]:
    """Every run and how many failed, for scripts."""
    results = json.loads((output / "results.json").read_text(encoding="utf-8"))
    failed = sum(result["error"] is not None for result in results)
    return {"report": output / "report.md", "failed": failed, "results": results}


def verdict_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """What happens to parts at the limits, by data set and kind of defect, mean over seeds. `results`: `results.json`.

    Of one refinement, the first of `_SHOWN_FIRST` that was run; the report has the others.
    """
    done = [r for r in results if r["error"] is None]
    refine = next((name for name in _SHOWN_FIRST if any(r["refine"] == name for r in done)), "")
    table = Table(
        title=f"at the calibrated limits ({refine}); right: defects that pass when 1 % or 5 % of the good are rejected"
    )
    for heading in ("data set", "training set", "defect"):
        table.add_column(heading)
    for heading in ("pass", "not rejected", "good rejected", "good in review", "at 1 %", "at 5 %"):
        table.add_column(heading, justify="right")
    shown = [r for r in done if r["refine"] == refine]
    for case in dict.fromkeys(_case(r) for r in shown):
        runs = [r for r in shown if _case(r) == case]
        dataset, detector, protocol, noise = case
        named = f"{dataset} {detector}", _split_name(protocol, noise)
        good = [_percent([r[name] for r in runs]) for name in ("false_reject", "good_review")]
        table.add_row(*named, "all", *_shares([r["escapes"] for r in runs], good))
        kinds = sorted({kind for r in runs for kind in r["escapes_by_defect"]})
        for kind in kinds if len(kinds) > 1 else ():
            of_kind = [r["escapes_by_defect"][kind] for r in runs if kind in r["escapes_by_defect"]]
            table.add_row("", "", kind, *_shares(of_kind, ["", ""]))
    return table


def trade_off_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """What passes by ranking at several costs, and why defects pass at the calibrated review limit; as `verdict_table`.

    Results of an earlier version have neither and are left out.
    """
    done = [r for r in results if r["error"] is None and r.get("trade_off") and r.get("causes")]
    refine = next((name for name in _SHOWN_FIRST if any(r["refine"] == name for r in done)), "")
    shown = [r for r in done if r["refine"] == refine]
    table = Table(
        title="defects that pass when this share of the good is above the limit; right: why at the calibrated one"
    )
    at = list(shown[0]["trade_off"]) if shown else []
    why = list(shown[0]["causes"]) if shown else []
    for heading in ("data set", "training set"):
        table.add_column(heading)
    for heading in (*(f"{share} %" for share in at), *why):
        table.add_column(heading, justify="right")
    for case in dict.fromkeys(_case(r) for r in shown):
        runs = [r for r in shown if _case(r) == case]
        dataset, detector, protocol, noise = case
        table.add_row(
            f"{dataset} {detector}",
            _split_name(protocol, noise),
            *(_percent([r["trade_off"][share] for r in runs]) for share in at),
            *(_percent([r["causes"][cause] for r in runs]) for cause in why),
        )
    return table


def _case(result: Mapping[str, Any]) -> tuple[str, str, str, int]:
    return result["dataset"], result["detector"], result["protocol"], result["noise"]


def _split_name(protocol: str, noise: int) -> str:
    return f"{noise} %" if protocol == "contaminated" else protocol


def _shares(found: Sequence[Mapping[str, float] | None], good: Sequence[str]) -> list[str]:
    """What passes and what is not rejected, then `good`, then what ranking alone allows."""
    known = [escapes for escapes in found if escapes is not None]  # an earlier version did not count them
    passed, kept, at_1, at_5 = (
        _percent([escapes[name] for escapes in known]) for name in ("passed", "not_rejected", "ranked_1", "ranked_5")
    )
    return [passed, kept, *good, at_1, at_5]


def _percent(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f} %" if values else "–"


def _show(output: Path) -> int:
    results = json.loads((output / "results.json").read_text(encoding="utf-8"))
    table = Table(title=f"mean image AUROC; all of it in {output / 'report.md'}")
    columns = sorted({(r["protocol"], r["noise"]) for r in results}, key=lambda each: (each[0] == "contaminated", each))
    table.add_column("detector")
    table.add_column("refinement")
    for column in columns:
        table.add_column(_split_name(*column), justify="right")
    for detector, refine in dict.fromkeys((r["detector"], r["refine"]) for r in results):
        cells = []
        for column in columns:
            found = [
                r["image_auroc"]
                for r in results
                if (r["detector"], r["refine"], r["protocol"], r["noise"]) == (detector, refine, *column)
                and r["error"] is None
            ]
            cells.append(f"{sum(found) / len(found):.4f}" if found else "–")
        table.add_row(detector, refine, *cells)
    shown = console()
    shown.print(table)
    shown.print(verdict_table(results))
    shown.print(trade_off_table(results))
    failed = [r for r in results if r["error"] is not None]
    if failed:
        shown.print(coloured(f"{len(failed)} of {len(results)} runs failed; first: {failed[0]['error']}", "yellow"))
    return 1 if failed else 0
