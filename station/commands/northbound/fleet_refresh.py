"""`station fleet refresh`, `jobs`, `release`: engines for many stations, made in one place."""

from __future__ import annotations

import argparse
import getpass
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.teach_request import add_options, request_from
from station.commands.northbound.fleet_worker import TAUGHT, Place, add_threads, fleet_command, place_of
from station.commands.options import add_config_option, add_json_option, positive, print_json, show
from station.commands.signals import terminable
from station.configuration import load as config
from station.configuration.load import LoadedConfiguration
from station.fleet.refreshing.jobs import Asked, Counts, FleetError, Job, in_words, summary
from station.northbound.postgres.trouble import Trouble
from station.terminal import console, say

if TYPE_CHECKING:
    from engines.signatures.minisign import SecretKey
    from station.fleet.refreshing.executors import Executor
    from station.fleet.refreshing.table import Table

USUAL_PARTS = 500
"""As of `station refresh`."""
EXIT_BAD = 1
PAUSE_S, PATIENCE_S = 5.0, 3600.0
"""A database that is away for less ends no night of work."""
MOST_DAYS = 3650


def add_parsers(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds them."""
    action = actions.add_parser(
        "refresh",
        help="have engines made for many stations from the images that they sent",
        description="Makes a job for each station, and starts workers until all have ended. Interrupted, what is open "
        "waits in the table. Nothing is activated: each engine goes through the gate of its station.",
    )
    which = action.add_mutually_exclusive_group()
    which.add_argument("--stations", metavar="NAME,...", help="default: all that judged parts of the recipe lately")
    which.add_argument("--continue", dest="again", metavar="ROUND", help="work at what is open of it; no new jobs")
    action.add_argument("--recipe", metavar="NAME", help="default: the active one of --config")
    action.add_argument(
        "--parts", type=positive, default=USUAL_PARTS, metavar="N", help="good parts (default %(default)s)"
    )
    action.add_argument(
        "--executor", choices=("local", "ray", "none"), default="local",
        help="local: processes of this computer (default); ray: a cluster; none: workers that run anyway",
    )  # fmt: skip
    action.add_argument("--workers", type=positive, metavar="N", help="at the same time; default: one for each core")
    action.add_argument("--ray-address", metavar="HOST:PORT", help="of the cluster; default: this computer alone")
    add_threads(action)
    action.add_argument(
        "--publish", type=Path, metavar="FOLDER", help="sign each and put it into FOLDER/STATION/PRODUCT"
    )
    _add_key(action, required=False)
    add_options(action, TAUGHT)
    add_config_option(action)
    add_json_option(action, "round, jobs, open_already, released")
    action.set_defaults(run=fleet_command(refresh))

    action = actions.add_parser("jobs", help="the jobs of `station fleet refresh`: state, progress, engine, why not")
    action.add_argument("which", nargs="?", metavar="ROUND|JOB", help="default: the newest of all")
    what = action.add_mutually_exclusive_group()
    what.add_argument("--withdraw", action="store_true", help="what nobody has taken yet is not wanted any more")
    what.add_argument(
        "--prune", type=positive, metavar="DAYS",
        help="remove engines and reports that were made longer ago and never released; lists those that went",
    )  # fmt: skip
    add_config_option(action)
    add_json_option(
        action,
        "a list of job, round, station, recipe, state, tries, most_tries, worker, asked_by, asked_at, began_at, "
        "ended_at, step, step_done, step_total, is_lost, detail, core_s, engine_id, archive, report, released_at, "
        "sequence",
    )
    action.set_defaults(run=fleet_command(jobs))

    action = actions.add_parser(
        "release", help="sign engines that were made and put each into the channel of its station"
    )
    action.add_argument("which", metavar="ROUND|JOB", help="see: station fleet jobs")
    action.add_argument("folder", type=Path, metavar="FOLDER", help="each goes to FOLDER/STATION/PRODUCT")
    _add_key(action, required=True)
    action.add_argument("--again", action="store_true", help="also those that were released before")
    add_config_option(action)
    add_json_option(action, "a list of job, station, product, engine_id, sequence, expires, channel, detail")
    action.set_defaults(run=fleet_command(release))


def refresh(options: argparse.Namespace) -> int:
    """Exit code 1: a job has failed."""
    station = config.load(options.config, options.recipe)
    place, key = place_of(station), _key(options)
    with closing(place.open_table("")) as table:
        if why := place.store.reach() or place.results.reach():
            raise FleetError(why)
        with _executor(options) as executor:
            round_name, open_already = _round(options, station, table)
            try:
                _drive(options, table, executor, round_name)
            except (FleetError, SystemExit, KeyboardInterrupt):
                say(f"what is open of round {round_name} waits: --continue {round_name}", error=True)
                raise
        released = _released(options, place, table, table.jobs(round_name), key)
        found = table.jobs(round_name)
    if options.json:
        data = [_as_data(job, place) for job in found]
        print_json({"round": round_name, "jobs": data, "open_already": open_already, "released": released})
    else:
        _show_round(round_name, found, open_already)
        for one in released:
            say(_in_words(one))
        if not released and any(job.state == "done" for job in found):
            say(f"Nothing was released. To sign them: station fleet release {round_name} FOLDER --key KEY")
    return EXIT_BAD if any(job.state == "failed" for job in found) or any(one["detail"] for one in released) else 0


def _round(options: argparse.Namespace, station: LoadedConfiguration, table: Table) -> tuple[str, int]:
    """Its name, and how many stations have an open job of another one already."""
    recipe, section = station.settings.recipe.name, station.settings.fleet
    if options.again is not None:
        if not table.counts(options.again).open:
            raise FleetError(f'round "{options.again}" has no open job; see: station fleet jobs')
        return options.again, 0
    named = [name.strip() for name in (options.stations or "").split(",") if name.strip()]
    stations = list(dict.fromkeys(named)) or table.stations(recipe, section.days)
    if not stations:
        raise FleetError(
            f'no station has judged a part of recipe "{recipe}" in {section.days} days; --stations names some'
        )
    round_name = secrets.token_hex(4)
    added = table.add(
        round_name, [Asked(name, recipe) for name in stations], parts=options.parts,
        options=request_from(options, TAUGHT).given(), by=getpass.getuser(), tries=section.tries,
    )  # fmt: skip
    return round_name, len(stations) - len(added)


def jobs(options: argparse.Namespace) -> int:
    """Exit code 1: one of them has failed."""
    station = config.load_station(options.config)
    place = place_of(station)
    with closing(place.open_table("")) as table:
        if options.withdraw:
            if options.which is None:
                raise FleetError("--withdraw: of which round or job? see: station fleet jobs")
            table.withdraw(options.which, getpass.getuser())
        if options.prune is not None:
            return _prune(options, place, table)
        found = table.jobs(options.which)
    if options.which is not None and not found:
        raise FleetError(f'no round or job "{options.which}"; see: station fleet jobs')
    if options.json:
        print_json([_as_data(job, place) for job in found])
    else:
        _show_jobs(found)
    return EXIT_BAD if any(job.state == "failed" for job in found) else 0


def _prune(options: argparse.Namespace, place: Place, table: Table) -> int:
    """Rows stay: what was made, and of which images, is known for good."""
    if options.which is not None:
        raise FleetError("--prune looks at all jobs: give no round and no job")
    if options.prune > MOST_DAYS:
        raise FleetError(f"--prune {options.prune}; allowed: 1 to {MOST_DAYS}")
    if why := place.results.reach():
        raise FleetError(why)
    old = [(job, job.archive_sha256 or "") for job in table.never_released(options.prune)]
    sizes = {sha256: place.results.remove(sha256, options.prune) for sha256 in dict.fromkeys(name for _, name in old)}
    gone = [job for job, sha256 in old if sizes[sha256] is not None]
    if options.json:
        print_json([_as_data(job, place) for job in gone])
        return 0
    if gone:
        _show_jobs(gone)
    megabytes = sum(size or 0 for size in sizes.values()) / 1e6
    say(
        f"removed are the engines of {len(gone)} jobs, {megabytes:.1f} MB; released ones stay, and those of the last "
        f"{options.prune} days"
    )
    return 0


def release(options: argparse.Namespace) -> int:
    """Exit code 1: one of them could not be released."""
    place = place_of(config.load_station(options.config))
    key = _key(options)
    with closing(place.open_table("")) as table:
        found = table.jobs(options.which)
        wanted = [job for job in found if job.state == "done" and (options.again or job.released_at is None)]
        if not wanted:
            raise FleetError(f'"{options.which}": {summary(found)}, and nothing to release; see: station fleet jobs')
        options.publish = options.folder
        released = _released(options, place, table, wanted, key)
    show(options, released, *(_in_words(one) for one in released))
    return EXIT_BAD if any(one["detail"] for one in released) else 0


def _executor(options: argparse.Namespace) -> Any:
    """As a context that stops what still runs."""
    from engines.cores import usable_cores  # noqa: PLC0415
    from station.fleet.refreshing.executors import Local  # noqa: PLC0415

    if options.executor == "ray":
        try:
            from station.fleet.refreshing.on_ray import OnRay  # noqa: PLC0415
        except ImportError as problem:
            raise FleetError(
                f"Ray is not installed here ({problem}): pip install ray, or --executor local"
            ) from problem
        return closing(OnRay(options.ray_address, options.workers))
    if options.ray_address is not None:
        raise FleetError("--ray-address is of --executor ray")
    return closing(Local(options.workers or usable_cores()))


def _drive(options: argparse.Namespace, table: Table, executor: Executor, round_name: str) -> None:
    from engines.cores import usable_cores  # noqa: PLC0415
    from station.fleet.refreshing.driving import drive  # noqa: PLC0415
    from station.jobs.process import JobProgress  # noqa: PLC0415
    from station.jobs.progress import ProgressBar  # noqa: PLC0415

    if options.executor == "none":
        return
    threads = options.threads or max(1, usable_cores() // executor.width)
    words = [
        "fleet",
        "worker",
        "--once",
        f"--round={round_name}",
        f"--threads={threads}",
        f"--config={options.config.absolute()}",
    ]
    with terminable(), ProgressBar() as bar:

        def shown(counts: Counts) -> None:
            bar.show(JobProgress("jobs", counts.ended, counts.total, 0.0))

        drive(lambda: _patient(lambda: table.counts(round_name)), executor, words, shown)


def _patient(ask: Callable[[], Counts]) -> Counts:
    """Raises Trouble: the database is away for longer than `PATIENCE_S`."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except Trouble:
            if time.monotonic() >= end:
                raise
            time.sleep(PAUSE_S)


def _key(options: argparse.Namespace) -> SecretKey | None:
    """Read, and its password asked for, before anything is begun. Raises FleetError, EngineError."""
    from engines.signatures.secret_key import read_secret_key  # noqa: PLC0415
    from station.commands.engines.engine import key_password  # noqa: PLC0415

    is_wanted = getattr(options, "publish", None) is not None or options.action == "release"
    if is_wanted != (options.key is not None):
        raise FleetError("--publish and --key belong together: an engine without a signature is in no channel")
    if options.days > MOST_DAYS:
        raise FleetError(f"--days {options.days}; allowed: 1 to {MOST_DAYS}")
    if is_wanted and getattr(options, "executor", "") == "none":
        raise FleetError("--publish with --executor none: nothing is made yet; station fleet release, once it is")
    return read_secret_key(options.key, key_password) if is_wanted else None


def _released(
    options: argparse.Namespace, place: Place, table: Table, found: Sequence[Job], key: SecretKey | None
) -> list[dict[str, Any]]:
    from station.fleet.refreshing.releasing import Release  # noqa: PLC0415
    from station.fleet.refreshing.releasing import release as release_one  # noqa: PLC0415
    from station.jobs.engine_check import check_engine  # noqa: PLC0415

    if key is None:
        return []
    how = Release(options.publish, key, options.days, check_engine)
    released = []
    for job in sorted(found, key=lambda one: one.number):
        if job.state != "done":
            continue
        said: dict[str, Any] = {"job": job.number, "station": job.station, "product": job.product}
        said |= dict.fromkeys(("engine_id", "sequence", "expires", "channel"))
        try:
            channel = release_one(job, place.results, how, time.time())
            table.released(job.number, channel.sequence)
        except FleetError as problem:
            released.append({**said, "detail": str(problem)})
            continue
        where = {"channel": how.channel_of(job)}
        made = {"engine_id": channel.engine_id, "sequence": channel.sequence, "expires": channel.expires}
        released.append({**said, **made, **where, "detail": ""})
    return released


def _show_round(round_name: str, found: Sequence[Job], open_already: int) -> None:
    if found:
        _show_jobs(found)
    say(f"round {round_name}: {summary(found)}")
    if open_already:
        say(f"{open_already} stations have an open job of this recipe already: station fleet jobs, --continue ROUND")


def _show_jobs(found: Sequence[Job]) -> None:
    from rich.table import Table as Drawn  # noqa: PLC0415

    drawn = Drawn("job", "round", "station", "recipe", "state", "tries", "core min", "")
    for job in found:
        core = "" if job.core_s is None else f"{job.core_s / 60:.1f}"
        tries = f"{job.tries}/{job.most_tries}"
        drawn.add_row(str(job.number), job.round, job.station, job.recipe, job.state, tries, core, in_words(job))
    console().print(drawn)


def _as_data(job: Job, place: Place) -> dict[str, Any]:
    from station.reports.shifts import calendar_of  # noqa: PLC0415

    calendar = calendar_of(place.station.settings.station)

    def time_of(moment: Any) -> str | None:
        return None if moment is None else calendar.iso(moment.timestamp())

    archive = None if job.archive_sha256 is None else place.results.folder / f"{job.archive_sha256}.tar"
    if archive is not None and not archive.exists():  # removed by --prune
        archive = None
    times = {name: time_of(getattr(job, name)) for name in ("asked_at", "began_at", "ended_at", "released_at")}
    names = (
        "round", "station", "recipe", "state", "tries", "most_tries", "worker", "asked_by", "step", "step_done",
        "step_total", "is_lost", "detail", "core_s", "engine_id", "report", "sequence",
    )  # fmt: skip
    return {"job": job.number, **{name: getattr(job, name) for name in names}, **times, "archive": archive}


def _in_words(one: dict[str, Any]) -> str:
    if one["detail"]:
        return f"not released: {one['detail']}"
    where = f"sequence {one['sequence']} of {one['product']} in {one['channel']}"
    return f"{one['station']}: {where}, expires {one['expires']}"


def _add_key(action: argparse.ArgumentParser, *, required: bool) -> None:
    action.add_argument(
        "--key", type=Path, required=required, metavar="KEY", help="secret key of minisign, which signs"
    )
    action.add_argument("--days", type=positive, default=90, help="until the channels expire; default 90")
