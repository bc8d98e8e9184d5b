"""`station hmi`: serves the pages for people, a process of its own beside the daemon."""

from __future__ import annotations

import argparse
import sys

from station.commands.options import add_config_option, complain, reporting
from station.configuration.load import ConfigurationError, load_station
from station.terminal import say

MAX_PORT = 65535


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `hmi`."""
    parser = commands.add_parser("hmi", help="serve the pages for people until it is stopped")
    add_config_option(parser)
    parser.add_argument("--port", type=_port, metavar="N", help="instead of [hmi] port; 0: any that is free")
    parser.set_defaults(run=reporting(serve, ConfigurationError))


def serve(options: argparse.Namespace) -> int:
    """Until SIGTERM or Ctrl-C."""
    station = load_station(options.config)
    settings = station.settings.hmi
    try:
        from station.access.accounts_schema import AccountError  # noqa: PLC0415  only this command needs a web server
        from station.access.proving import proving, uid_of  # noqa: PLC0415
        from station.daemon import logs  # noqa: PLC0415
        from station.daemon.systemd import Notifier  # noqa: PLC0415
        from station.hmi.app import build, site_of_station  # noqa: PLC0415
        from station.hmi.server import ServingError, address_of, listening, server_of  # noqa: PLC0415
    except ImportError as problem:
        return complain(f"the pages need more packages ({problem}); pip install 'edge-inspection-station[hmi]'")
    logs.configure(station.settings.log.format, station.settings.log.level)
    try:
        with listening(settings.host, settings.port if options.port is None else options.port) as door:
            site = site_of_station(station)
            notifier = Notifier()
            server = server_of(build(site), station, notifier.alive)
            address = address_of(settings, door.getsockname()[1])
            say(f"pages: {address}")
            if code := site.accounts.first_admin():
                say(f"nobody has an account yet: open {address}welcome with name admin and code {code}")
            sys.stdout.flush()
            notifier.ready(f"pages on {address}")
            with proving(station.accounts_dir, uid_of(station.settings.access.plant_user)):
                server.run(sockets=[door])
    except (ServingError, AccountError) as problem:
        return complain(problem)
    finally:
        logs.close()
    return 0


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to {MAX_PORT}")
    return int(text)
