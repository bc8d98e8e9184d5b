"""`station engine build`: the TensorRT plan of an engine for the GPU of this computer."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from engines.bundle.reading import read_bundle
from engines.errors import EngineError, StoreError
from engines.runtimes.names import Precision
from engines.runtimes.tensorrt.plan_maker import PlanMaker
from engines.runtimes.tensorrt.plan_store import PlanState
from engines.store.versions import find_version, is_there
from station.commands.engines.taking_up import add_recipe_option
from station.commands.options import add_config_option, add_json_option, complain, show
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.jobs.plan import PlanBuildError, build_plan
from station.jobs.progress import ProgressBar
from station.line.inspection.loading import engine_threads


def add_build_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `build`."""
    parser = actions.add_parser(
        "build",
        help="build the TensorRT plan of an engine for the GPU of this computer, and compare it with ONNX Runtime",
        description="Builds the plan for this GPU, driver and TensorRT, compares it with ONNX Runtime on the golden "
        "images and the sample of the engine, and keeps it in the engine's folder. Takes minutes; the station may run "
        "meanwhile.",
    )
    parser.add_argument(
        "engine",
        nargs="?",
        default="",
        metavar="ENGINE",
        help="a version of the store (number, name, `active`, `latest`) or the folder of an engine; default: the "
        "engine that the station uses",
    )
    parser.add_argument("--precision", choices=get_args(Precision), help="default: [engine] precision")
    parser.add_argument("--again", action="store_true", help="also when there is a plan already")
    add_json_option(parser, "engine, built, detail")
    add_config_option(parser)
    add_recipe_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Builds, with a bar; exit code 2 when there is no plan that may be used."""
    try:
        configuration = config.load(options.config, options.recipe)
        engine = _engine_folder(options.engine, configuration)
        precision: Precision = options.precision or configuration.settings.engine.precision
        maker = PlanMaker(read_bundle(engine), precision)
        found = maker.find()
        if found.state is PlanState.READY and not options.again:
            said = f"{engine.name}: there is a plan for this GPU already, {found.detail}; --again builds it anew"
            show(options, {"engine": engine, "built": None, "detail": found.detail}, said)
            return 0
        threads = engine_threads(configuration.settings.engine.threads)
        with ProgressBar(steps_nest=True) as bar:
            built = build_plan(engine, precision=precision, threads=threads, on_progress=bar.show)
    except (ConfigurationError, EngineError, PlanBuildError) as problem:
        return complain(problem)
    lines = [
        f"{engine.name}: plan {built.name} ({built.plan_bytes / 1e6:.1f} MB) by TensorRT {built.tensorrt} {precision} "
        f"for {built.gpu}; against ONNX Runtime: {built.parity}"
    ]
    if built.frames:
        lines.append(f"{engine.name}: frames are prepared {built.frames}")
    show(options, {"engine": engine, "built": asdict(built), "detail": ""}, *lines)
    return 0


def _engine_folder(asked: str, configuration: LoadedConfiguration) -> Path:
    """Raises StoreError when there is none."""
    if asked and Path(asked).is_dir():
        return Path(asked).resolve()
    if asked and configuration.engine_store is not None:
        return find_version(configuration.engine_store, asked).path
    if asked:
        raise StoreError(f'"{asked}" is not the folder of an engine, and no [engine] store is configured')
    path = configuration.engine_path
    if path is None or not is_there(path):
        raise StoreError(f"{configuration.path}: the station has no engine yet ({path}); name one")
    return path.resolve()
