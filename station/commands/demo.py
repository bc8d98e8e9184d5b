"""`station demo`: the whole station on a simulated line, see `station/simulation`.

Exit codes: 0 the ledger balances, every part has a verdict and nothing without a PASS reached the good bin;
1 something of that failed, and the summary says what; 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import socket
from pathlib import Path
from typing import get_args

from engines.errors import EngineError, RuntimeFailure
from engines.runtimes.names import Asked
from engines.runtimes.opening import require_usable
from station.commands.options import EXIT_BAD_INPUT, BadInput, add_json_option, print_json
from station.configuration.cameras import MAX_CAMERAS
from station.control import ControlError
from station.jobs.plan import PlanBuildError
from station.jobs.process import JobError
from station.simulation.parts import choosing
from station.simulation.parts.ageing import OF_PICTURES, Ageing, Kind, parse_ageing
from station.simulation.parts.pictures import (
    GOOD,
    MIN_TRAINING_IMAGES,
    Canvas,
    ImageFolderError,
    ImageParts,
    open_folder,
)
from station.simulation.parts.rendered import PRODUCTS, SIZE_PX
from station.simulation.parts.schedule import PACED_RATE_PER_S, LineSchedule
from station.simulation.plant.ejector import EjectBy
from station.simulation.plant.plc_signals import TriggerMode
from station.simulation.run.demo import EXIT_FAILED, TRANSIT_S, Demo, DemoFailed, Setup
from station.simulation.run.processes import ProcessEnded, stopped_in_order
from station.simulation.run.workspace import WorkspaceError, prepare
from station.terminal import console, say

DEFAULT_PARTS = 100
AFTERWARDS_PARTS = 50_000
"""With --keep: at 4 parts/s three and a half hours."""
RATES_PER_S = (0.2, 200.0)
"""Above 20 parts/s the line is a fast one, see `LineSchedule.is_fast`: one camera, and the PLC tracks."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `demo`."""
    parser = commands.add_parser("demo", help="run the whole station on a simulated line")
    parser.add_argument("--images", type=Path, metavar="DIR", help="real pictures in MVTec layout; default: rendered")
    parser.add_argument(
        "--parts", type=int, metavar="N", help=f"parts to inspect; default {DEFAULT_PARTS}, or every test image once"
    )
    parser.add_argument("--rate", type=float, default=4.0, metavar="PARTS_PER_S", help="default: %(default)s")
    parser.add_argument("--work", type=Path, default=Path("demo"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--report", type=Path, metavar="FILE", help="the report as JSON; always in --work, too")
    parser.add_argument("--engine", type=Path, metavar="DIR", help="use this engine and teach none")
    parser.add_argument("--runtime", choices=get_args(Asked), default="auto",
                        help="what runs the engine, as [engine] runtime; default: auto")  # fmt: skip
    parser.add_argument("--teach-parts", type=int, default=60, metavar="N", help="without --images; default 60")
    parser.add_argument("--trigger", choices=[mode.value for mode in TriggerMode], default=TriggerMode.LINE.value,
                        help="who triggers the camera: the light barrier (line) or the PLC; default: line")  # fmt: skip
    parser.add_argument("--reject", choices=[by.value for by in EjectBy], default=EjectBy.PLC.value,
                        help="who tracks to the ejector: the PLC, the station through a bit for the PLC, or the "
                        "station through an output line of the camera; default: plc")  # fmt: skip
    parser.add_argument("--cameras", type=int, default=1, metavar="N",
                        help=f"cameras, 1 to {MAX_CAMERAS}; a defect is seen by one of them")  # fmt: skip
    parser.add_argument("--recipes", type=int, choices=(1, 2), default=1, metavar="N",
                        help="1 or 2 products with a recipe each; the PLC selects it while parts run")  # fmt: skip
    parser.add_argument("--age", action="append", default=[], metavar="KIND=MOST",
                        help="the line ages: lamp=0.28, dust=0.3, defocus=2, texture=0.4, valve=0.06 (s), slip=0.03, "
                        "defects=0.1; @0.5 from half of the parts on, ! at once; may be repeated")  # fmt: skip
    parser.add_argument("--defects", type=float, default=choosing.DEFECTIVE_SHARE, metavar="SHARE",
                        help="of the rendered parts that are inspected; default: %(default)s")  # fmt: skip
    parser.add_argument("--keep", action="store_true",
                        help="go on with more parts after the account, and serve the pages, until Ctrl-C")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="order and look of the parts; default: 0")
    add_json_option(parser, "ledger, truth, confusion, latency_ms, problems, runtime, and more")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """The command. Returns its exit code."""
    shown = console(stderr=options.json)
    with stopped_in_order():
        try:
            setup = _check(options)
            code = Demo(setup, shown).run(options.report)
        except (BadInput, EngineError, ImageFolderError, WorkspaceError) as problem:
            say(f"station demo: {problem}", error=True)
            return EXIT_BAD_INPUT
        except (DemoFailed, PlanBuildError, ProcessEnded, JobError, ControlError, TimeoutError) as problem:
            say(f"station demo: {problem}", error=True)
            bad_input = isinstance(problem, ProcessEnded) and problem.code == EXIT_BAD_INPUT
            return EXIT_BAD_INPUT if bad_input else EXIT_FAILED
    if options.json:
        print_json(json.loads(setup.workspace.report.read_text(encoding="utf-8")))
    return code


def _check(options: argparse.Namespace) -> Setup:
    """Looks at everything before anything is started. Raises BadInput, ImageFolderError, WorkspaceError."""
    _check_options(options)
    _ageing(options)
    recipes = dict(enumerate(PRODUCTS, start=1)) if options.recipes > 1 else {}
    if options.recipes > 1 and options.images is not None:
        raise BadInput(f"--recipes {options.recipes}: only with rendered parts; leave --images out")
    for product in recipes.values():
        if options.engine is not None and not (options.engine / product).is_dir():
            raise BadInput(
                f"--engine {options.engine}: with --recipes it holds an engine per product, {product} is missing"
            )
    images = open_folder(options.images) if options.images is not None else None
    teach_parts = 0 if options.engine else options.teach_parts
    if images is not None:
        parts = choosing.from_images(images.test, options.parts, options.seed)
    elif recipes:
        parts = choosing.changing(options.parts or DEFAULT_PARTS, teach_parts, options.seed, recipes)
    else:
        parts = choosing.rendered(options.parts or DEFAULT_PARTS, teach_parts, options.seed, repeat=_is_fast(options),
                                  defective=options.defects)  # fmt: skip
    parts = choosing.worse(parts, _ageing(options), options.seed)
    if images is None and not recipes and not _is_fast(options):
        parts = choosing.with_masters(parts, options.seed, cameras=options.cameras)
    if options.keep:
        parts = choosing.followed_by(parts, AFTERWARDS_PARTS)
    workspace = prepare(options.work)
    schedule = LineSchedule(
        canvas=images.canvas if images else Canvas(SIZE_PX, SIZE_PX, 3),
        parts=parts,
        rate_per_s=options.rate,
        transit_s=TRANSIT_S,
        scene_prefix=str(workspace.scene_prefix),
        plc_host="127.0.0.1",
        plc_port=_free_port(),
        trigger=TriggerMode(options.trigger),
        eject_by=EjectBy(options.reject),
        cameras=options.cameras,
        good_images=_good_images(images) if images else (),
        ageing=_ageing(options),
    )
    engine = options.engine.absolute() if options.engine else None
    return Setup(workspace, images, engine, schedule, options.runtime, options.seed, recipes, options.keep)


def _check_options(options: argparse.Namespace) -> None:
    """Compares each option with what it allows. Raises BadInput."""
    low, high = RATES_PER_S
    if not low <= options.rate <= high:
        raise BadInput(f"--rate {options.rate:g}: allowed are {low:g} to {high:g} parts/s")
    if options.parts is not None and not 1 <= options.parts <= 1_000_000:
        raise BadInput(f"--parts {options.parts}: allowed are 1 to 1000000")
    if not MIN_TRAINING_IMAGES <= options.teach_parts <= 10_000:
        raise BadInput(f"--teach-parts {options.teach_parts}: allowed are {MIN_TRAINING_IMAGES} to 10000")
    if not 1 <= options.cameras <= MAX_CAMERAS:
        raise BadInput(f"--cameras {options.cameras}: allowed are 1 to {MAX_CAMERAS}")
    if _is_fast(options) and (options.cameras > 1 or options.reject != EjectBy.PLC.value or options.recipes > 1):
        raise BadInput(
            f"--rate {options.rate:g}: above {PACED_RATE_PER_S:g} parts/s only with 1 camera, 1 recipe and --reject plc"
        )
    if not 0 <= options.defects <= 1:
        raise BadInput(f"--defects {options.defects:g}: a share from 0 to 1")
    if options.seed < 0:
        raise BadInput(f"--seed {options.seed}: must not be negative")
    if options.engine is not None and not options.engine.is_dir():
        raise BadInput(f"--engine {options.engine}: no such folder; leave the option out to have an engine taught")
    if options.report is not None and (options.report.is_dir() or not options.report.absolute().parent.is_dir()):
        raise BadInput(f"--report {options.report}: must be a file in a folder that exists")
    try:
        require_usable(options.runtime)
    except RuntimeFailure as problem:
        raise BadInput(f"--runtime {options.runtime}: {problem}") from problem


def _ageing(options: argparse.Namespace) -> tuple[Ageing, ...]:
    """What does not fit to the rest of the options is refused. Raises BadInput."""
    try:
        found = tuple(parse_ageing(text) for text in options.age)
    except ValueError as problem:
        raise BadInput(f"--age {problem}") from problem
    for one in found:
        if one.kind in OF_PICTURES and _is_fast(options):
            raise BadInput(
                f"--age {one.kind.value}: above {PACED_RATE_PER_S:g} parts/s pictures are shown again and cannot age"
            )
        if one.kind is Kind.DEFECTS and options.images is not None:
            raise BadInput("--age defects: only with rendered parts; leave --images out")
    return found


def _is_fast(options: argparse.Namespace) -> bool:
    """As `LineSchedule.is_fast`, before there is a schedule."""
    return bool(options.rate > PACED_RATE_PER_S)


def _good_images(images: ImageParts) -> tuple[str, ...]:
    """What cameras see that look at a good face of a part; not taught, if the folder has such pictures."""
    good = [image for image in images.test if image.truth == GOOD] or list(images.training)
    return tuple(str(image.path.absolute()) for image in good)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
