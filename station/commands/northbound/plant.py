"""`station plant`: sends results to the plant, a process of its own; says how it does; tries the way; sends again."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from contextlib import closing
from types import FrameType
from typing import TYPE_CHECKING, Any

from station.commands.options import (
    add_config_option,
    add_json_option,
    complain,
    reporting,
    show,
)
from station.commands.signals import handled
from station.configuration.load import ConfigurationError, LoadedConfiguration, load_station
from station.terminal import one_line, say

if TYPE_CHECKING:
    from station.forwarding.progress import Progress
    from station.northbound.webhook import Webhook

_NONE = (
    "none of [webhook] url, [sparkplug] brokers, [opcua] enabled, [postgres] host and [images] folder or bucket "
    "is set: there is nothing to send; see docs/integrator.md"
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `plant`."""
    parser = commands.add_parser("plant", help="send results to the plant: run, status, test, resend")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser("run", help="send each result until it is stopped (SIGTERM)")
    add_config_option(action)
    action.set_defaults(run=reporting(run, ConfigurationError))
    action = actions.add_parser("status", help="what was sent, what waits, what was refused")
    add_config_option(action)
    add_json_option(action, "runs, connectors")
    action.set_defaults(run=reporting(status, ConfigurationError))
    action = actions.add_parser("test", help="send one event of no part, to try the way")
    add_config_option(action)
    add_json_option(action, "outcome, detail")
    action.set_defaults(run=reporting(test, ConfigurationError))
    action = actions.add_parser("resend", help="send again: parts since a time, or those that were refused")
    action.add_argument("which", metavar="TIME|parked", help="06:00, 2026-11-29, 8h: all parts from there on; parked: "
                        "those that the receiver refused")  # fmt: skip
    add_config_option(action)
    add_json_option(action, "since, parts; of parked: taken, refused, gone")
    action.set_defaults(run=reporting(resend, ConfigurationError))


def run(options: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C."""
    from station.daemon import logs  # noqa: PLC0415
    from station.daemon.systemd import Notifier  # noqa: PLC0415
    from station.forwarding.progress import ForwardingError  # noqa: PLC0415
    from station.northbound.process import send_until  # noqa: PLC0415
    from station.northbound.signing import SecretError  # noqa: PLC0415
    from station.northbound.webhook import AddressError  # noqa: PLC0415

    station = load_station(options.config)
    if not station.settings.sends_to_plant:
        return complain(_NONE)
    stopping, notifier = threading.Event(), Notifier()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    def ready(where: str) -> None:
        logs.configure(station.settings.log.format, station.settings.log.level)
        say(f"plant: results go to {where}")
        sys.stdout.flush()
        notifier.ready(f"results go to {where}")

    try:
        with handled(stop, signal.SIGTERM, signal.SIGINT):
            send_until(station, stopping, ready, notifier.alive)
    except ForwardingError as problem:
        return complain(problem)
    except (SecretError, AddressError) as problem:
        raise ConfigurationError(station.path, [str(problem)]) from problem
    finally:
        logs.close()
    return 0


def status(options: argparse.Namespace) -> int:
    """Exit code 1: results are not sent now, or some were not taken."""
    from station.forwarding.in_words import sentence_of  # noqa: PLC0415
    from station.forwarding.progress import ForwardingError, forwarding_beside, is_running, read_progress  # noqa: PLC0415
    from station.records.schema import RecordingError  # noqa: PLC0415
    from station.reports.shifts import calendar_of  # noqa: PLC0415

    station = load_station(options.config)
    file = forwarding_beside(station.records_dir)
    try:
        found, runs = read_progress(file), is_running(file)
        newest = _newest_id(station) if found else 0
    except (ForwardingError, RecordingError) as problem:
        return complain(problem)
    if not (station.settings.sends_to_plant or found):
        return complain(_NONE)
    now, calendar = time.time(), calendar_of(station.settings.station)
    data = {"runs": runs, "connectors": [_as_data(one, newest, calendar) for one in found]}
    lines = [f"{one.name}: {one_line(sentence_of(one, newest, now))}" for one in found]
    process = "runs" if runs else "does not run: systemctl start station-plant, or station plant run"
    show(options, data, f"the plant process {process}", *(lines or ["nothing was ever sent"]))
    return 0 if runs and found and not any(one.failing_since or one.parked for one in found) else 1


def test(options: argparse.Namespace) -> int:
    """Exit code 1: it was not taken."""
    from station.northbound.part_event import test_event  # noqa: PLC0415
    from station.reports.shifts import calendar_of  # noqa: PLC0415

    station = load_station(options.config)
    webhook = _webhook(station)
    if webhook is None:
        sends = station.settings.sends_to_plant
        return complain("[webhook] url is not set; station check tries brokers and database" if sends else _NONE)
    settings = station.settings.station
    outcome = webhook.post([test_event(settings.name, time.time(), calendar_of(settings))])
    webhook.close()
    said = f"{webhook.where} took the test event" if outcome.kind == "taken" else f"{outcome.kind}: {outcome.detail}"
    show(options, {"outcome": outcome.kind, "detail": outcome.detail}, said)
    return 0 if outcome.kind == "taken" else 1


def resend(options: argparse.Namespace) -> int:
    """Exit code 1: a parked part was not taken."""
    from station.forwarding.progress import Cursors, ForwardingError, forwarding_beside  # noqa: PLC0415
    from station.northbound.process import alone  # noqa: PLC0415
    from station.records.schema import RecordingError  # noqa: PLC0415
    from station.reports.shifts import TimeError  # noqa: PLC0415

    station = load_station(options.config)
    if not station.settings.sends_to_plant:
        return complain(_NONE)
    file = forwarding_beside(station.records_dir)
    try:
        with alone(file), closing(Cursors(file)) as cursors:
            if options.which != "parked":
                return _go_back(options, station, cursors)
            webhook = _webhook(station)
            if webhook is None:
                return complain(
                    "[webhook] url is not set; what was refused elsewhere comes again with: station plant resend TIME"
                )
            return _send_parked(options, station, webhook, cursors)
    except (ForwardingError, RecordingError, TimeError) as problem:
        return complain(problem)


def _go_back(options: argparse.Namespace, station: LoadedConfiguration, cursors: Any) -> int:
    from station.northbound.process import names_of  # noqa: PLC0415
    from station.northbound.unsent import cursor_before  # noqa: PLC0415
    from station.reports.shifts import calendar_of  # noqa: PLC0415

    calendar = calendar_of(station.settings.station)
    since = calendar.moment(options.which, time.time())
    cursor, count = cursor_before(station.records_dir, since)
    for name in names_of(station):
        cursors.place(name, cursor)
    said = f"{count} parts since {calendar.in_words(since)} are sent again; receivers know them by their id"
    show(options, {"since": calendar.iso(since), "parts": count}, said)
    return 0


def _send_parked(options: argparse.Namespace, station: LoadedConfiguration, webhook: Webhook, cursors: Any) -> int:
    from station.northbound.process import WEBHOOK, sender_of  # noqa: PLC0415

    sender, done = sender_of(station, webhook, cursors), {"taken": 0, "refused": 0, "gone": 0}
    for part in cursors.parked(WEBHOOK):
        outcome = sender.send_parked(part)
        if outcome is not None and outcome.kind == "failed":
            return complain(f"{outcome.detail}; {done['taken']} were taken")
        done["gone" if outcome is None else outcome.kind] += 1
    webhook.close()
    said = f"{done['taken']} taken, {done['refused']} refused again, {done['gone']} no longer on record"
    show(options, done, said)
    return 1 if done["refused"] else 0


def _newest_id(station: LoadedConfiguration) -> int:
    from station.records.parts import newest_id  # noqa: PLC0415
    from station.records.schema import open_reader  # noqa: PLC0415

    with closing(open_reader(station.records_dir)) as connection:
        return newest_id(connection)


def _webhook(station: LoadedConfiguration) -> Webhook | None:
    """Raises ConfigurationError: the secret or the certificates cannot be used."""
    from station.northbound.process import webhook_of  # noqa: PLC0415
    from station.northbound.signing import SecretError  # noqa: PLC0415
    from station.northbound.webhook import AddressError  # noqa: PLC0415

    try:
        return webhook_of(station)
    except (SecretError, AddressError) as problem:
        raise ConfigurationError(station.path, [f"[webhook]: {problem}"]) from problem


def _as_data(one: Progress, newest: int, calendar: Any) -> dict[str, Any]:
    def iso(moment: float | None) -> str | None:
        return None if moment is None else calendar.iso(moment)

    return {
        "name": one.name,
        "waiting": max(0, newest - one.cursor.last_id),
        "sent": one.sent,
        "sent_at": iso(one.sent_at),
        "parked": one.parked,
        "left_out": one.left_out,
        "left_out_at": iso(one.left_out_at),
        "failing_since": iso(one.failing_since),
        "detail": one.detail,
    }
