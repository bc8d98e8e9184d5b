"""`station check`: everything that is wrong at once, before the line finds out."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drivers.camera.open import open_camera
from drivers.camera.protocol import CameraError
from drivers.plc.protocol import PlcError
from engines.errors import EngineError, PlanUnusable
from station.commands.daemon import EXIT_BAD_INPUT, add_config_option, complain
from station.commissioning.gpu_check import Judgement, check_gpu
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.configuration.reject import reject_told
from station.control import ControlError, request
from station.daemon import assembly
from station.line.inspection.loading import RulesError, load_inspector

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `check`."""
    parser = commands.add_parser("check", help="check configuration, camera, engine, PLC link and disk")
    add_config_option(parser)
    parser.add_argument(
        "--gpu", action="store_true", help="instead: can TensorRT run here, and which command mends what is missing"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints what was found; exit code 2 when anything is wrong."""
    if options.gpu:
        return run_gpu(options)
    try:
        configuration = config.load(options.config)
    except ConfigurationError as problem:
        return complain(problem)
    table = Table("what", "", "found", title=f"station check {options.config}")
    findings = list(check(configuration))
    for finding in findings:
        table.add_row(finding.what, "[green]ok[/]" if finding.ok else "[red]wrong[/]", finding.detail)
    Console().print(table)
    return 0 if all(finding.ok for finding in findings) else EXIT_BAD_INPUT


def run_gpu(options: argparse.Namespace) -> int:
    """Prints the way from the driver to the plan; exit code 2 when TensorRT cannot run."""
    try:
        configuration = None if _is_missing(options.config) else config.load(options.config)
    except ConfigurationError as problem:
        return complain(problem)
    colours = {Judgement.OK: "green", Judgement.MISSING: "red", Judgement.ADVICE: "yellow"}
    console = Console(soft_wrap=True, highlight=False)  # commands must stay on one line, to be copied
    can_run = True
    for link in check_gpu(configuration):
        can_run = can_run and link.judgement is not Judgement.MISSING
        colour = colours[link.judgement]
        console.print(f"{link.what:15} [{colour}]{link.judgement.value:8}[/] {escape(link.found)}")
        if link.mend:
            console.print(f"{'':15} [bold]do[/]       {escape(link.mend)}")
    console.print("TensorRT can run." if can_run else "TensorRT cannot run; begin with the first line that is missing.")
    return 0 if can_run else EXIT_BAD_INPUT


def _is_missing(path: Path) -> bool:
    """One that may not be read is not missing."""
    try:
        path.stat()
    except OSError as problem:
        return isinstance(problem, FileNotFoundError)
    return False


def check(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """Looks at everything the daemon needs; goes on after a failure."""
    recipe = configuration.recipe
    of_recipe = f", recipe {recipe.name} {recipe.checksum[:8]}" if recipe else ""
    yield Finding("configuration", True, f"checksum {configuration.checksum[:8]}{of_recipe}")
    yield Finding("reject", True, reject_told(configuration.settings.reject))
    running = _running(configuration)
    if running:
        yield Finding("station", True, "runs now: camera and PLC port are in its hands and are not tried")
        shapes: dict[str, tuple[int, ...]] = {}
    else:
        shapes = yield from _cameras(configuration)
        yield _plc(configuration)
    yield _engine(configuration, shapes)
    yield _disk(configuration)


def _running(configuration: LoadedConfiguration) -> bool:
    try:
        request(configuration.control_socket, {"command": "status"}, 2.0)
    except ControlError:
        return False
    return True


def _cameras(configuration: LoadedConfiguration) -> Generator[Finding, None, dict[str, tuple[int, ...]]]:
    """One finding per camera; returns the shapes of their frames, as far as they can be opened."""
    shapes = {}
    for name in configuration.settings.cameras:
        try:
            with open_camera(assembly.camera_settings(configuration, name)) as camera:
                info = camera.info
        except CameraError as problem:
            yield Finding(f"camera {name}", False, str(problem))
            continue
        shapes[name] = info.shape
        found = f"{info.vendor} {info.model} {info.serial_number}, {info.width} x {info.height} {info.pixel_format}"
        yield Finding(f"camera {name}", True, found)
    return shapes


def _plc(configuration: LoadedConfiguration) -> Finding:
    try:
        return Finding("PLC", True, assembly.check_plc(configuration))
    except PlcError as problem:
        return Finding("PLC", False, str(problem))


def _engine(configuration: LoadedConfiguration, shapes: Mapping[str, tuple[int, ...]]) -> Finding:
    try:
        path = configuration.engine_path
        inspector = load_inspector(path, configuration.settings, shapes)
    except PlanUnusable as problem:
        builds = configuration.settings.engine.missing_plan == "build" and problem.rebuilding_helps
        return Finding("engine", builds, f"{problem}" + ("; or the next start builds it" if builds else ""))
    except (EngineError, RulesError) as problem:
        return Finding("engine", False, str(problem))
    if inspector is None:
        where = f"{path} is not there yet" if path else "neither engine.path nor engine.store is set"
        return Finding("engine", True, f"none: {where}; the station will wait for teaching and pass nothing")
    inspector.scorer.close()
    rules = inspector.rules.rules
    limits = f"review above {rules.review_score:.3g}, reject above {rules.reject_score:.3g} on the scale from 0 to 1"
    found = f"{inspector.engine_id[:12]}, golden images agree; {limits}; runtime {inspector.runtime}"
    return Finding("engine", True, found)


def _disk(configuration: LoadedConfiguration) -> Finding:
    work_dir, records = configuration.work_dir, configuration.settings.records
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=work_dir) as probe:
            probe.write(bytes(MB))
            probe.flush()
            os.fsync(probe.fileno())
        free_mb = shutil.disk_usage(work_dir).free // MB
    except OSError as problem:
        return Finding("disk", False, f"{work_dir} cannot be written: {problem.strerror}")
    if free_mb < records.min_free_mb:
        return Finding("disk", False, f"{work_dir}: {free_mb} MB free, records.min_free_mb = {records.min_free_mb}")
    found = f"{work_dir}: {free_mb} MB free, images use at most {records.disk_budget_mb} MB"
    return Finding("disk", True, found)
