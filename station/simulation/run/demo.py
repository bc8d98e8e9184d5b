"""`station demo`: a simulated line drives the real station, end to end, and every part is accounted for.

The station is the real daemon with the real camera driver, engine, Modbus server and records; simulated are the belt
with its sensors and ejector, the PLC, and what stands in front of the software camera (`station/simulation`).

    rendered parts    the station is taught on the first parts of the line, as an operator would do it
    --images DIR      an engine is taught on DIR/train/good, then DIR/test runs over the line

"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from engines.runtimes.names import Asked
from engines.teach_request import TeachRequest
from station.codes import OFFLINE_REASONS, OfflineReason
from station.configuration.load import load_station
from station.jobs.progress import ProgressBar, follow_teaching
from station.jobs.teaching import teach
from station.records.images import write_image
from station.records.schema import open_reader
from station.records.sessions import count_parts
from station.simulation.accounts.accounting import as_ledger, join, write_contact_sheet
from station.simulation.accounts.report import by_recipe, problems, report
from station.simulation.accounts.summary import print_summary
from station.simulation.parts.pictures import GOOD, ImageParts
from station.simulation.parts.schedule import AFTERWARDS, INSPECT, MASTERS, TEACH, LineSchedule, ScheduledPart
from station.simulation.plant.belt import PITCH_COUNTS, Layout
from station.simulation.plant.ejector import section
from station.simulation.run.engine_plans import build_missing, wait_for_plan
from station.simulation.run.keeping import keep_going
from station.simulation.run.live import LiveView
from station.simulation.run.masters import book_of, challenge_section
from station.simulation.run.processes import LineProcess, LineState, StationProcess
from station.simulation.run.workspace import DEADLINE_MS, Workspace, configuration

EXIT_FAILED = 1
TRANSIT_S = DEADLINE_MS / 1000 + 0.5
"""From camera to ejector: the longest a result may take, and time for the handshake."""
POLL_S = 0.25
STALLED_S = 30.0


class DemoFailed(Exception):
    """The run could not be brought to its end."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be run."""

    workspace: Workspace
    images: ImageParts | None
    engine: Path | None
    """An engine that is there already; None: one is taught."""
    schedule: LineSchedule
    runtime: Asked
    """What is to run the engines."""
    seed: int

    recipes: dict[int, str]
    """Products by the number of their recipe; empty: the configuration is the only one."""
    keeps: bool = False
    """The line goes on after the account, and pages show it."""

    def engine_of(self, product: str) -> Path:
        """With several recipes."""
        return self.engine / product if self.engine else self.workspace.engine_of(product)

    def phase(self, name: str, product: str | None = None) -> tuple[ScheduledPart, ...]:
        return tuple(part for part in self.schedule.parts if part.phase == name and product in (None, part.product))


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
        setup.schedule.save(workspace.schedule)
        engine = setup.engine or workspace.engine
        engines = {product: setup.engine_of(product) for product in setup.recipes.values()}
        if setup.images is not None or setup.engine is not None:
            build_missing(engines.values() or [engine], setup.runtime, self._console)
        layout = Layout.for_rate(setup.schedule.rate_per_s, setup.schedule.transit_s)
        of_station = configuration(
            setup.schedule.canvas,
            engine,
            setup.schedule.plc_port,
            trigger=setup.schedule.trigger.value,
            cameras=setup.schedule.cameras,
            runtime=setup.runtime,
        )
        of_recipes = workspace.configure_recipes(setup.recipes, engines, setup.schedule.cameras)
        masters = challenge_section(setup.phase(MASTERS))
        text = of_station + section(setup.schedule.eject_by, layout) + of_recipes + masters
        workspace.configuration.write_text(text, encoding="utf-8")
        with LineProcess(workspace.schedule, workspace.folder) as line:
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
                self._challenge(line, station)
                status = self._inspect(line, station)
                if setup.keeps:
                    code = self._account(line.state, status, report_file)
                    keep_going(self._console, workspace.folder, line, station, len(setup.phase(AFTERWARDS)))
                    return code
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
        with ProgressBar() as bar:
            request = TeachRequest(seed=self._setup.seed)
            result = teach(self._workspace.training_images, self._workspace.engine, request, on_progress=bar.show)
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

        with ProgressBar() as bar:
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

    # ---- the challenge test -------------------------------------------------------------------------------------

    def _challenge(self, line: LineProcess, station: StationProcess) -> None:
        """Master parts show that the station finds what it must find, one after the other, before parts of production.

        Raises DemoFailed: one that had to be rejected passed; the station takes no part then.
        """
        parts = self._setup.phase(MASTERS)
        if not parts:
            return
        self._console.print(f"challenge test with {len(parts)} master parts")
        self._wait_for(line, station, "TriggerReady", lambda: line.state.trigger_ready)
        station.begin_challenge()
        for number, _ in enumerate(parts, start=1):
            self._wait_for(line, station, "TriggerReady for a master part", lambda: line.state.trigger_ready)
            line.feed(1)
            left = {part.serial for part in parts[:number]}
            self._wait_for(line, station, "end of a master part", partial(self._have_left, line.state, left))
        if station.status()["offline_reason"] == OFFLINE_REASONS[OfflineReason.CHALLENGE_FAILED].text:
            why = "; ".join(book_of(parts, line.state, None).wrong)
            raise DemoFailed(
                f"the challenge test failed: {why}; the station takes no part until somebody resets it: "
                "station challenge reset"
            )

    @staticmethod
    def _have_left(state: LineState, serials: set[int]) -> bool:
        return serials <= state.ends.keys() and serials <= state.judgements.keys()

    # ---- inspecting ---------------------------------------------------------------------------------------------

    def _inspect(self, line: LineProcess, station: StationProcess) -> dict[str, Any]:
        """Feeds all parts and waits until each has left the belt. Returns the station's last status."""
        parts = self._setup.phase(INSPECT)
        serials = {part.serial for part in parts}
        schedule = self._setup.schedule
        self._wait_for(line, station, "TriggerReady", lambda: line.state.trigger_ready)
        self._console.print(f"inspecting {len(parts)} parts at {schedule.rate_per_s:g} parts/s")
        quiet_s = STALLED_S + schedule.transit_s + PITCH_COUNTS / schedule.rate_per_s / 1000
        truths = {part.serial: part.truth for part in parts}
        before = station.status()["counters"]
        with LiveView(self._console, truths, len(parts), schedule.rate_per_s, before) as view:
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
            counts = count_parts(connection)
            masters = book_of(setup.phase(MASTERS), line, counts.challenge)
            recorded = as_ledger(asdict(counts))
            write_contact_sheet(connection, outcomes, load_station(workspace.configuration), workspace.contact_sheet)
        counted = as_ledger(status["counters"])
        found = problems(outcomes, recorded, line.unexposed)
        if counted != recorded:
            found.append(f"the station counted {counted}, its records hold {recorded}")
        found += masters.problems
        shown = status["counters"]["challenge"]
        if shown != counts.challenge:
            found.append(f"the station counted {shown} master parts, its records hold {counts.challenge}")
        made = report(outcomes, status["engine_id"])
        if masters.parts:
            made["challenge"] = {"state": status["challenge"]["state"], **masters.as_json()}
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
            "rate_per_s": setup.schedule.rate_per_s,
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
