"""`station backup`, `restore`: all that a station is in one file, and back. `support-bundle`: what others need."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from station.backup.making import BackupError, make
from station.backup.restoring import restore
from station.backup.support import make_bundle, subject_of
from station.commands.options import add_config_option, add_json_option, calendar_at, print_json, reporting
from station.configuration.file import ConfigurationError
from station.configuration.load import load_station
from station.reports.shifts import calendar_of
from station.terminal import console, say

LONGEST_HOURS = 168.0


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `backup`, `restore` and `support-bundle`."""
    parser = commands.add_parser("backup", help="configuration, engines, records and labels in one file, while it runs")
    parser.add_argument("file", type=Path, nargs="?", help="default: NAME-TIME.tar.gz in this folder")
    parser.add_argument("--images", action="store_true", help="with the stored images: may be large")
    add_json_option(parser, "file, bytes, files, images, images_gone")
    add_config_option(parser)
    parser.set_defaults(run=reporting(backup, ConfigurationError, BackupError))

    parser = commands.add_parser("restore", help="bring a backup back; the station must be stopped")
    parser.add_argument("file", type=Path, help="made by `station backup`")
    add_json_option(parser, "station, time, software, moved_aside")
    parser.add_argument("--replace", action="store_true", help="move aside what is in the way; nothing is deleted")
    add_config_option(parser)
    parser.set_defaults(run=reporting(bring_back, ConfigurationError, BackupError))

    parser = commands.add_parser(
        "support-bundle", help="log, configuration, versions and records of an hour in one file"
    )
    parser.add_argument("file", type=Path, nargs="?", help="default: support-NAME-TIME.tar.gz in this folder")
    parser.add_argument(
        "--hours", type=hours, default=1.0, help="of log and records (default %(default)g, at most 168)"
    )
    parser.add_argument("--images", action="store_true", help="with the stored images of that time, the newest 500 MB")
    add_json_option(parser, "file, bytes, files, missing, hours")
    parser.add_argument("--unit", default="station", help="of systemd, whose log it is (default %(default)s)")
    add_config_option(parser)
    parser.set_defaults(run=reporting(support_bundle, ConfigurationError, BackupError))


def backup(options: argparse.Namespace) -> int:
    """Makes a backup and says how large it is."""
    station = load_station(options.config)
    name = station.settings.station.name.replace("/", "-")
    output = options.file or Path(f"{name}-{calendar_of(station.settings.station).stamp(time.time())}.tar.gz")
    with _bar("backup") as on_progress:
        listing = make(station, output, images=options.images, on_progress=on_progress)
    if options.json:
        taken = {"file": output, "bytes": output.stat().st_size, "files": len(listing.files)}
        print_json({**taken, "images": options.images, "images_gone": listing.gone})
        return 0
    size_mb = output.stat().st_size / 1e6
    say(f"{output}: {len(listing.files)} files, {size_mb:.1f} MB{'' if options.images else ', without images'}")
    if listing.gone:
        say(f"{listing.gone} images were deleted by the disk budget meanwhile and are not in it")
    return 0


def hours(text: str) -> float:
    """Type of `--hours`. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < value <= LONGEST_HOURS:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {LONGEST_HOURS:g}")
    return value


def support_bundle(options: argparse.Namespace) -> int:
    """Makes a bundle and says what it holds and what could not be had."""
    station = subject_of(options.config)
    name = station.name.replace("/", "-")
    stamp = calendar_at(options.config).stamp(time.time())
    output = options.file or Path(f"support-{name}-{stamp}.tar.gz")
    bundle = make_bundle(station, output, hours=options.hours, images=options.images, unit=options.unit)
    if options.json:
        taken = {"file": output, "bytes": output.stat().st_size, "files": bundle.made, "missing": bundle.missing}
        print_json({**taken, "hours": options.hours})
        return 0
    say(f"{output}: {len(bundle.made)} files, {output.stat().st_size / 1e6:.1f} MB, {options.hours:g} h")
    for missing, why in bundle.missing.items():
        say(f"not in it: {missing}: {why}")
    say(f"look through it before you send it: tar -tzf {output}")
    return 0


def bring_back(options: argparse.Namespace) -> int:
    """Restores a backup and names what was moved aside."""
    with _bar("restore") as on_progress:
        done = restore(options.file, options.config, replace_old=options.replace, on_progress=on_progress)
    made, calendar = done.listing.made, calendar_at(options.config)
    if options.json:
        came = {"station": done.listing.station, "time": calendar.iso(made), "software": done.listing.software}
        print_json({**came, "moved_aside": list(done.moved_aside)})
        return 0
    as_of = calendar.in_words(made, "min")
    say(f"restored: {done.listing.station} as of {as_of}, made by station {done.listing.software}")
    for path in done.moved_aside:
        say(f"what was there before: {path}")
    say(f"next: station check --config {options.config}, then start it")
    return 0


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn(title), BarColumn(), DownloadColumn())
    shown = console(stderr=True)
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
