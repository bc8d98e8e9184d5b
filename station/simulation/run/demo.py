"""`station demo`: a simulated line drives the real station, end to end, and every part is accounted for.

The station is the real daemon with the real camera driver, engine, Modbus server and records; simulated are the belt
with its sensors and ejector, the PLC, and what stands in front of the software camera (`station/simulation`).

    rendered parts    the station is taught on the first parts of the line, as an operator would do it
    --images DIR      an engine is taught on DIR/train/good, then DIR/test runs over the line

Exit codes: 0 the ledger balances, every part has a verdict and nothing without a PASS reached the good bin;
1 something of that failed, and it says what; 2 bad input.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from engines.errors import EngineError, RuntimeFailure
from engines.runtimes.names import Asked
from engines.runtimes.opening import require_usable
from station.commands.teach import TeachingBar, follow_teaching
from station.configuration.cameras import MAX_CAMERAS
from station.control import ControlError
from station.jobs.plan import PlanBuildError
from station.jobs.teaching import TeachError, teach
from station.records.images import write_image
from station.records.parts import count_parts
from station.records.schema import open_reader
from station.simulation.accounts.accounting import as_ledger, join, write_contact_sheet
from station.simulation.accounts.report import by_recipe, problems, report
from station.simulation.accounts.summary import print_summary
from station.simulation.parts import choosing
from station.simulation.parts.pictures import (
    GOOD,
    MIN_TRAINING_IMAGES,
    Canvas,
    ImageFolderError,
    ImageParts,
    open_folder,
)
from station.simulation.parts.rendered import PRODUCTS, SIZE_PX
from station.simulation.parts.schedule import INSPECT, PACED_RATE_PER_S, TEACH, LinePlan, PlannedPart
from station.simulation.plant.belt import PITCH_COUNTS, Layout
from station.simulation.plant.ejector import RejectBy, section
from station.simulation.plant.plc import TriggerMode
from station.simulation.run.engine_plans import build_missing, wait_for_plan
from station.simulation.run.live import LiveView
from station.simulation.run.processes import EXIT_BAD_INPUT, LineProcess, LineState, ProcessEnded, StationProcess
from station.simulation.run.workspace import DEADLINE_MS, Workspace, WorkspaceError, configuration, prepare

EXIT_FAILED = 1
DEFAULT_PARTS = 100
RATES_PER_S = (0.2, 200.0)
"""Above 20 parts/s the line is a fast one, see `LinePlan.is_fast`: one camera, and the PLC tracks."""
TRANSIT_S = DEADLINE_MS / 1000 + 0.5
"""From camera to ejector: the longest a result may take, and time for the handshake."""
POLL_S = 0.25
STALLED_S = 30.0


class BadInput(Exception):
    """Something the person who started the demo can mend; nothing was started."""


class DemoFailed(Exception):
    """The run could not be brought to its end."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be run."""

    workspace: Workspace
    images: ImageParts | None
    engine: Path | None
    """An engine that is there already; None: one is taught."""
    plan: LinePlan
    runtime: Asked
    """What is to run the engines."""
    seed: int

    recipes: dict[int, str]
    """Products by the number of their recipe; empty: the configuration is the only one."""

    def engine_of(self, product: str) -> Path:
        """With several recipes."""
        return self.engine / product if self.engine else self.workspace.engine_of(product)

    def phase(self, name: str, product: str | None = None) -> tuple[PlannedPart, ...]:
        return tuple(part for part in self.plan.parts if part.phase == name and product in (None, part.product))


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
    parser.add_argument("--reject", choices=[by.value for by in RejectBy], default=RejectBy.PLC.value,
                        help="who tracks to the ejector: the PLC, the station through a bit for the PLC, or the "
                        "station through an output line of the camera; default: plc")  # fmt: skip
    parser.add_argument("--cameras", type=int, default=1, metavar="N",
                        help=f"cameras, 1 to {MAX_CAMERAS}; a defect is seen by one of them")  # fmt: skip
    parser.add_argument("--recipes", type=int, choices=(1, 2), default=1, metavar="N",
                        help="1 or 2 products with a recipe each; the PLC selects it while parts run")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="order and look of the parts; default: 0")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """The command. Returns its exit code."""
    console = Console()
    with _signals_interrupt():
        try:
            return Demo(_check(options), console).run(options.report)
        except (BadInput, EngineError, ImageFolderError, WorkspaceError) as problem:
            print(f"station demo: {problem}", file=sys.stderr)  # noqa: T201
            return EXIT_BAD_INPUT
        except (DemoFailed, PlanBuildError, ProcessEnded, TeachError, ControlError, TimeoutError) as problem:
            print(f"station demo: {problem}", file=sys.stderr)  # noqa: T201
            bad_input = isinstance(problem, ProcessEnded) and problem.code == EXIT_BAD_INPUT
            return EXIT_BAD_INPUT if bad_input else EXIT_FAILED


def _check(options: argparse.Namespace) -> Setup:
    """Looks at everything before anything is started. Raises BadInput, ImageFolderError, WorkspaceError."""
    low, high = RATES_PER_S
    if not low <= options.rate <= high:
        raise BadInput(f"--rate {options.rate:g}: allowed are {low:g} to {high:g} parts/s")
    if options.parts is not None and not 1 <= options.parts <= 1_000_000:
        raise BadInput(f"--parts {options.parts}: allowed are 1 to 1000000")
    if not MIN_TRAINING_IMAGES <= options.teach_parts <= 10_000:
        raise BadInput(f"--teach-parts {options.teach_parts}: allowed are {MIN_TRAINING_IMAGES} to 10000")
    if not 1 <= options.cameras <= MAX_CAMERAS:
        raise BadInput(f"--cameras {options.cameras}: allowed are 1 to {MAX_CAMERAS}")
    is_fast = options.rate > PACED_RATE_PER_S
    if is_fast and (options.cameras > 1 or options.reject != RejectBy.PLC.value or options.recipes > 1):
        raise BadInput(
            f"--rate {options.rate:g}: above {PACED_RATE_PER_S:g} parts/s only with 1 camera, 1 recipe and --reject plc"
        )
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
        parts = choosing.rendered(options.parts or DEFAULT_PARTS, teach_parts, options.seed, repeat=is_fast)
    workspace = prepare(options.work)
    plan = LinePlan(
        canvas=images.canvas if images else Canvas(SIZE_PX, SIZE_PX, 3),
        parts=parts,
        rate_per_s=options.rate,
        transit_s=TRANSIT_S,
        scene_prefix=str(workspace.scene_prefix),
        plc_host="127.0.0.1",
        plc_port=_free_port(),
        trigger=TriggerMode(options.trigger),
        reject_by=RejectBy(options.reject),
        cameras=options.cameras,
        good_images=_good_images(images) if images else (),
    )
    engine = options.engine.absolute() if options.engine else None
    return Setup(workspace, images, engine, plan, options.runtime, options.seed, recipes)


def _good_images(images: ImageParts) -> tuple[str, ...]:
    """What cameras see that look at a good face of a part; not taught, if the folder has such pictures."""
    good = [image for image in images.test if image.truth == GOOD] or list(images.training)
    return tuple(str(image.path.absolute()) for image in good)


class Demo:
    """One run: teach, inspect, account."""

    def __init__(self, setup: Setup, console: Console) -> None:
        self._setup = setup
        self._console = console
        self._workspace = setup.workspace
        self._teaching: dict[str, Any] = {}

    def run(self, report_file: Path | None) -> int:
        """Returns the exit code. Children are stopped in order however it ends: first the station, then the line."""
        setup, workspace = self._setup, self._workspace
        if setup.images is not None:
            self._console.print(f"images: {setup.images.fitted}")
            if setup.engine is None:
                self._teach_from_folder(setup.images)
        setup.plan.save(workspace.plan)
        engine = setup.engine or workspace.engine
        engines = {product: setup.engine_of(product) for product in setup.recipes.values()}
        if setup.images is not None or setup.engine is not None:
            build_missing(engines.values() or [engine], setup.runtime, self._console)
        layout = Layout.for_rate(setup.plan.rate_per_s, setup.plan.transit_s)
        of_station = configuration(
            setup.plan.canvas,
            engine,
            setup.plan.plc_port,
            trigger=setup.plan.trigger.value,
            cameras=setup.plan.cameras,
            runtime=setup.runtime,
        )
        of_recipes = workspace.configure_recipes(setup.recipes, engines, setup.plan.cameras)
        text = of_station + section(setup.plan.reject_by, layout) + of_recipes
        workspace.configuration.write_text(text, encoding="utf-8")
        with LineProcess(workspace.plan, workspace.folder) as line:
            environment = line.wait_ready()
            with StationProcess(
                workspace.configuration, workspace.control_socket, workspace.station_log, environment
            ) as station:
                station.wait_ready()
                if setup.images is None and setup.engine is None:
                    for product, path in engines.items():
                        station.select_recipe(product)
                        self._teach_from_line(line, station, path, product)
                    if not engines:
                        self._teach_from_line(line, station, engine)
                status = self._inspect(line, station)
        return self._account(line.state, status, report_file)

    # ---- teaching -----------------------------------------------------------------------------------------------

    def _teach_from_folder(self, images: ImageParts) -> None:
        """Brings train/good onto the sensor, as the camera would see it, and teaches on that."""
        folder = self._workspace.training_images / "train" / GOOD
        folder.mkdir(parents=True)
        for number, image in enumerate(images.training, start=1):
            write_image(folder / f"{number:05d}.png", images.pixels(image))
        self._console.print(f"teaching an engine on {len(images.training)} good images")
        started_s = time.monotonic()
        with TeachingBar() as bar:
            result = teach(
                self._workspace.training_images, self._workspace.engine, seed=self._setup.seed, on_progress=bar.show
            )
        self._taught(started_s, result.summary)

    def _teach_from_line(
        self, line: LineProcess, station: StationProcess, engine: Path, product: str | None = None
    ) -> None:
        """The next parts of the line teach the engine; a few of them are defective and nobody says so."""
        parts = self._setup.phase(TEACH, product)
        hidden = [part.serial for part in parts if part.truth != GOOD]
        of_product = f" for {product}" if product else ""
        self._console.print(
            f"teaching an engine{of_product} on {len(parts)} parts of the line, {len(hidden)} of them defective"
        )
        started_s = time.monotonic()
        station.teach(len(parts), str(engine), self._setup.seed)
        self._wait_for(line, station, "TriggerReady for teaching", lambda: line.state.trigger_ready)
        line.feed(len(parts))

        def teaching() -> dict[str, Any]:
            line.check()
            station.check()
            state: dict[str, Any] = station.status()["teaching"]
            waiting_s = time.monotonic() - line.state.last_event_s
            if state["phase"] == "collecting" and waiting_s > STALLED_S:
                raise DemoFailed(f"teaching: {state['done']} of {state['total']} parts arrived, then none any more")
            return state

        with TeachingBar() as bar:
            summary = follow_teaching(teaching, bar.show)
        self._taught(started_s, summary, product)
        self._wait_for_plan(line, station)
        # Each camera's images were numbered as they came, and as many came as were fed: number = place of the part.
        places = sorted({int(Path(name).stem.partition("-")[0]) for name in summary.get("removed", ())})
        removed = [parts[place - 1].serial for place in places]
        teaching_of = self._teaching[product] if product else self._teaching
        teaching_of |= {"removed_part_ids": removed, "hidden_defective_part_ids": hidden}

    def _taught(self, started_s: float, summary: dict[str, Any], product: str | None = None) -> None:
        """Keeps what was taught; with several recipes by product."""
        taught = {"seconds": round(time.monotonic() - started_s, 1), **summary}
        self._teaching = {**self._teaching, product: taught} if product else taught

    def _wait_for_plan(self, line: LineProcess, station: StationProcess) -> None:
        def status() -> dict[str, Any]:
            line.check()
            station.check()
            return station.status()

        wait_for_plan(status, self._console)

    # ---- inspecting ---------------------------------------------------------------------------------------------

    def _inspect(self, line: LineProcess, station: StationProcess) -> dict[str, Any]:
        """Feeds all parts and waits until each has left the belt. Returns the station's last status."""
        parts = self._setup.phase(INSPECT)
        serials = {part.serial for part in parts}
        plan = self._setup.plan
        self._wait_for(line, station, "TriggerReady", lambda: line.state.trigger_ready)
        self._console.print(f"inspecting {len(parts)} parts at {plan.rate_per_s:g} parts/s")
        quiet_s = STALLED_S + plan.transit_s + PITCH_COUNTS / plan.rate_per_s / 1000
        truths = {part.serial: part.truth for part in parts}
        before = station.status()["counters"]
        with LiveView(self._console, truths, len(parts), plan.rate_per_s, before) as view:
            line.state.left_s.clear()
            line.feed(len(parts))
            while not (serials <= line.state.ends.keys() and serials <= line.state.judgements.keys()):
                line.check()
                station.check()
                if line.state.recipe_refused:
                    raise DemoFailed(
                        f"the station refused recipe {line.state.recipe_refused}: {station.status()['refused']}"
                    )
                if time.monotonic() - line.state.last_event_s > quiet_s:
                    raise DemoFailed(f"nothing has moved on the line for {quiet_s:.0f} s; see the logs in --work")
                view.show(station.status(), line.state, sum(serial in line.state.ends for serial in serials))
                time.sleep(POLL_S)
        self._wait_for(line, station, "results of all parts", lambda: not station.status()["in_flight"])
        return station.status()

    def _wait_for(self, line: LineProcess, station: StationProcess, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + STALLED_S
        while not done():
            line.check()
            station.check()
            if time.monotonic() > deadline:
                status = station.status()
                why = status["error"] or status["offline_reason"]
                raise DemoFailed(f"no {what} within {STALLED_S:.0f} s; the station says: {status['state']}, {why}")
            time.sleep(0.05)

    # ---- accounting ---------------------------------------------------------------------------------------------

    def _account(self, line: LineState, status: dict[str, Any], report_file: Path | None) -> int:
        """Joins what the station recorded with what the line saw, writes the report, says whether all is well."""
        workspace, setup = self._workspace, self._setup
        with contextlib.closing(open_reader(workspace.records)) as connection:
            outcomes = join(connection, setup.phase(INSPECT), line)
            recorded = as_ledger(asdict(count_parts(connection)))
            write_contact_sheet(connection, outcomes, workspace.records, workspace.contact_sheet)
        counted = as_ledger(status["counters"])
        found = problems(outcomes, recorded, line.unexposed)
        if counted != recorded:
            found.append(f"the station counted {counted}, its records hold {recorded}")
        made = report(outcomes, status["engine_id"])
        ran, _, why = status["runtime"].partition(": ")
        made |= {
            "runtime": {"asked": setup.runtime, "ran": ran, "why": why},
            "ledger_total": recorded,
            "problems": found,
            "misfires": line.misfires,
            "triggers_without_camera": line.unseen,
            "parts_not_exposed": line.unexposed,
            "belt_waited_s": line.belt_waited_s,
            "teaching": self._teaching,
            "images": setup.images.fitted if setup.images else "rendered",
            "rate_per_s": setup.plan.rate_per_s,
            "held_rate_per_s": line.held_rate_per_s,
            "seed": setup.seed,
        }
        if setup.recipes:
            made["recipes"] = {"selected_by_plc": line.recipes_selected, **by_recipe(outcomes)}
        text = json.dumps(made, indent=2, default=str) + "\n"
        for file in (workspace.report, report_file):
            if file is not None:
                file.write_text(text, encoding="utf-8")
        print_summary(self._console, made, workspace)
        return EXIT_FAILED if found else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: through every `finally`, so that no child stays behind."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
