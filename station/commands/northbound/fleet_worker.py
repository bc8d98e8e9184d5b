"""`station fleet worker`: makes engines for other stations, job by job; and what the commands of a fleet share."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.teach_request import OPTIONS
from station.commands.options import add_config_option, complain, positive, reporting
from station.commands.signals import terminable
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.fleet.refreshing.jobs import FleetError, Job
from station.northbound.postgres.trouble import Trouble
from station.terminal import say

if TYPE_CHECKING:
    from engines.teach_request import TeachRequest
    from station.fleet.refreshing.gathering import Gathered, OnStep
    from station.fleet.refreshing.results import Results
    from station.fleet.refreshing.table import Table
    from station.fleet.refreshing.worker import Ended, Made, Worker
    from station.northbound.images.stores import Readable

TAUGHT = (
    "detector", "location", "ignore", "refine", "false_reject_budget", "review_budget", "seed", "steps",
    "defect_trials",
)  # fmt: skip
"""Options of a teaching that a job carries: no files of the computer on which it was asked for."""
EXIT_BAD, EXIT_TROUBLE = 1, 3
LOOK_S = 10.0
"""Between two looks at a table in which nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Place:
    """The computer on which engines of many stations are made."""

    station: LoadedConfiguration
    open_table: Callable[[str], Table]
    store: Readable
    results: Results


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `worker`."""
    action = actions.add_parser(
        "worker", help="work at the jobs of `station fleet refresh` until it is stopped (SIGTERM)"
    )
    action.add_argument("--once", action="store_true", help="one job at most")
    action.add_argument("--round", metavar="NAME", help="only jobs of this round")
    add_threads(action)
    add_config_option(action)
    action.set_defaults(run=fleet_command(worker), gives_way=True)


def worker(options: argparse.Namespace) -> int:
    """Exit code 1, of `--once`: the job came to nothing. 2: nothing can be done here; 3: the database is away."""
    from station.fleet.refreshing.worker import Desk, Worker  # noqa: PLC0415

    station = config.load_station(options.config)
    place = place_of(station)
    section = station.settings.fleet
    step = _Step(options.config, options.threads)
    folder = station.work_dir / "fleet" / "refresh"
    most_bytes = section.images_mb << 20
    desk = Desk(place.open_table, place.store, place.results, folder, step, section.days, section.lease_s, most_bytes)
    place.results.tidy()
    with terminable(), closing(Worker(desk)) as one:
        if why := place.store.reach() or place.results.reach():
            raise FleetError(why)
        try:
            if options.once:
                ended = one.work_one(options.round)
                _say_ended(ended)
                return EXIT_BAD if ended is not None and ended.outcome != "done" else 0
            while True:
                if not _look(one, options.round):
                    threading.Event().wait(LOOK_S)
        except Trouble as problem:
            complain(problem)
            return EXIT_TROUBLE


def place_of(station: LoadedConfiguration) -> Place:
    """Nothing is opened yet. Raises FleetError: this computer is not set up for it."""
    from station.fleet.refreshing.assembly import images_of  # noqa: PLC0415
    from station.fleet.refreshing.results import Results  # noqa: PLC0415
    from station.fleet.refreshing.table import Table  # noqa: PLC0415
    from station.northbound.images.stores import StoreError  # noqa: PLC0415
    from station.northbound.postgres.assembly import server_of  # noqa: PLC0415
    from station.northbound.signing import SecretError  # noqa: PLC0415

    settings = station.settings
    for name, value in (
        ("[postgres] host", settings.postgres.host),
        ("[images] folder or bucket", settings.images.folder or settings.images.bucket),
        ("[fleet] results", settings.fleet.results),
    ):
        if value is None:
            raise FleetError(f"{station.path}: {name} is not set; see docs/plant.md, Refresh of many stations")
    assert settings.fleet.results is not None
    try:
        server, store = server_of(station), images_of(station)
    except (SecretError, StoreError) as problem:
        raise FleetError(str(problem)) from problem
    return Place(station, lambda name: Table(server, name), store, Results(station.resolve(settings.fleet.results)))


class _Step:
    """What a worker does with the images of a job: a refresh, as at the station."""

    def __init__(self, config_file: Path, threads: int | None) -> None:
        self._config = config_file
        self._threads = threads

    def __call__(self, job: Job, gathered: Gathered, active_id: str | None, folder: Path, show: OnStep) -> Made:
        from engines.store.store import manifest_of  # noqa: PLC0415
        from station.fleet.refreshing.jobs import Unlucky  # noqa: PLC0415
        from station.fleet.refreshing.worker import Made  # noqa: PLC0415
        from station.jobs.candidate.elsewhere import refresh_for, version_with  # noqa: PLC0415
        from station.jobs.process import JobError  # noqa: PLC0415
        from station.jobs.refresh_labels import Label, RefreshError  # noqa: PLC0415
        from station.jobs.refresh_selection import PartImage  # noqa: PLC0415

        parts = [
            PartImage(
                one.key, one.part_id, one.image, one.verdict, Label(one.label) if one.label else None, one.camera,
                one.defect_class,
            )
            for one in gathered.images
        ]  # fmt: skip
        again = ("station", "fleet", "refresh", f"--stations={job.station}", f"--recipe={job.recipe}")
        try:
            station = _with_recipe(self._config, job.recipe)
            active = None if station.engine_store is None else version_with(station.engine_store, active_id)
            store, done = refresh_for(
                station, parts, folder, _request(job, self._threads), active=active, notes=gathered.notes,
                shown_command=again, on_progress=lambda sign: show(sign.step, sign.done, sign.total),
            )  # fmt: skip
        except (ConfigurationError, RefreshError) as problem:
            raise FleetError(str(problem)) from problem
        except (JobError, EngineError) as problem:
            raise Unlucky(str(problem)) from problem
        comparison = asdict(done.comparison)
        report = {name: comparison[name] for name in ("held_out", "candidate", "active", "agreement")}
        report |= {"images": len(parts), "notes": list(done.notes)}
        return Made(store, done.candidate, store.path.name, manifest_of(done.candidate).engine_id, report)


def _with_recipe(config_file: Path, recipe: str) -> LoadedConfiguration:
    """Raises ConfigurationError, FleetError: this computer does not know the recipe."""
    station = config.load_station(config_file)
    if station.settings.recipe.active is not None:
        return config.load(config_file, recipe)
    if station.settings.recipe.name != recipe:
        raise FleetError(
            f'recipe "{recipe}" is not known here, only "{station.settings.recipe.name}"; put its file into '
            "recipes/ beside the configuration of the worker, and set [recipe] active"
        )
    return station


def _request(job: Job, threads: int | None) -> TeachRequest:
    from engines.cores import usable_cores  # noqa: PLC0415
    from engines.teach_request import TeachRequest  # noqa: PLC0415

    try:
        given = {
            name: OPTIONS[name].metadata["read"](str(value)) for name, value in job.options.items() if name in TAUGHT
        }
    except ValueError as problem:
        raise FleetError(f"options of job {job.number}: {problem}") from problem
    if unknown := sorted(set(job.options) - set(TAUGHT)):
        raise FleetError(f"options of job {job.number}: unknown are {', '.join(unknown)}; allowed: {', '.join(TAUGHT)}")
    return TeachRequest(**given, threads=threads or max(1, usable_cores() - 1))


def _look(one: Worker, round_name: str | None) -> bool:
    """One job; False: there was none, or nothing can be done just now."""
    try:
        if why := one.reach():
            say(why, error=True)
            return False
        ended = one.work_one(round_name)
    except Trouble as problem:
        say(problem, error=True)
        return False
    _say_ended(ended)
    return ended is not None


def _say_ended(ended: Ended | None) -> None:
    if ended is None:
        return
    tried = f"try {ended.job.tries} of {ended.job.most_tries}"
    line = f"job {ended.job.number}, {ended.job.station}, {tried}: {ended.outcome}: {ended.detail}"
    say(line, error=ended.outcome != "done")


def add_threads(action: argparse.ArgumentParser) -> None:
    """`--threads`."""
    action.add_argument(
        "--threads", type=positive, metavar="N", help="CPU threads of one worker; default: its share of the cores"
    )


def fleet_command(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, with exit code 2 and a sentence for what a person can set right."""
    return reporting(_with_extra(run), ConfigurationError, EngineError, FleetError, Trouble)


def _with_extra(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run_it(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except ModuleNotFoundError as problem:
            if problem.name != "psycopg":
                raise
            raise FleetError(
                "the extra `plant-db` is not installed: pip install 'edge-inspection-station[plant-db]'"
            ) from problem

    return run_it
