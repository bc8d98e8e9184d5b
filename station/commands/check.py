"""`station check`: everything that is wrong at once, before the line finds out."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from station.commands.options import (
    EXIT_BAD_INPUT,
    add_config_option,
    add_json_option,
    complain,
    is_missing,
    print_json,
)
from station.commissioning.check import check
from station.commissioning.gpu_check import Judgement, check_gpu
from station.configuration import load as config
from station.configuration.load import ConfigurationError
from station.reports.zones_picture import picture_of_zones
from station.terminal import coloured, console, joined

_COLOURS = {Judgement.OK: "green", Judgement.MISSING: "red", Judgement.ADVICE: "yellow"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `check`."""
    parser = commands.add_parser("check", help="check configuration, camera, engine, PLC link and disk")
    add_config_option(parser)
    parser.add_argument(
        "--gpu", action="store_true", help="instead: can TensorRT run here, and which command installs what is missing"
    )
    add_json_option(parser, "a list of what, ok, detail; with --gpu: what, judgement, found, fix")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw all zones over the newest images: FILE.png or FILE.svg"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints what was found; exit code 2 when anything is wrong."""
    if options.gpu:
        return run_gpu(options)
    try:
        configuration = config.load(options.config)
    except ConfigurationError as problem:
        if options.json:
            print_json([{"what": "configuration", "ok": False, "detail": line} for line in problem.problems])
        return complain(problem)
    if options.picture is not None:
        try:
            picture_of_zones(configuration).save(options.picture)
        except ValueError as problem:
            return complain(f"--{problem}")
        except OSError as problem:
            return complain(f"--picture {options.picture}: {problem.strerror}")
    table = Table("what", "", "found", title=f"station check {options.config}")
    findings = list(check(configuration))
    if options.json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = coloured("ok", "green") if finding.ok else coloured("wrong", "red")
            table.add_row(finding.what, mark, finding.detail)
        console().print(table)
    return 0 if all(finding.ok for finding in findings) else EXIT_BAD_INPUT


def run_gpu(options: argparse.Namespace) -> int:
    """Prints the chain from the driver to the plan; exit code 2 when TensorRT cannot run."""
    try:
        configuration = None if is_missing(options.config) else config.load(options.config)
    except ConfigurationError as problem:
        return complain(problem)
    shown = console(soft_wrap=True)  # commands must stay on one line, to be copied
    links = list(check_gpu(configuration))
    can_run = all(link.judgement is not Judgement.MISSING for link in links)
    if options.json:
        print_json([{**asdict(link), "judgement": link.judgement.value} for link in links])
        return 0 if can_run else EXIT_BAD_INPUT
    for link in links:
        judgement = coloured(f"{link.judgement.value:8}", _COLOURS[link.judgement])
        shown.print(joined(f"{link.what:15} ", judgement, f" {link.found}"))
        if link.fix:
            shown.print(joined(" " * 16, coloured("do", "bold"), f"       {link.fix}"))
    shown.print("TensorRT can run." if can_run else "TensorRT cannot run; begin with the first line that is missing.")
    return 0 if can_run else EXIT_BAD_INPUT
