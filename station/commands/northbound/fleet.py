"""`station fleet`: what many stations have in common: database, page, channel of engines, refresh, sums."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from engines.errors import EngineError
from station.commands.northbound.fleet_page import add_parser as add_page_parser
from station.commands.northbound.fleet_refresh import add_parsers as add_refresh_parsers
from station.commands.northbound.fleet_worker import add_parser as add_worker_parser
from station.commands.northbound.sums import add_sums_parser
from station.commands.options import add_config_option, add_json_option, complain, positive, reporting, show
from station.configuration import load as config
from station.configuration.load import ConfigurationError
from station.terminal import one_line

MOST_DAYS = 3650


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `fleet`."""
    parser = commands.add_parser(
        "fleet", help="many stations: their database, the channel of engines, refresh in one place, sums"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser("schema", help="print what makes the schema of [postgres]: | psql --dbname DATABASE")
    action.set_defaults(run=schema)

    add_page_parser(actions)

    action = actions.add_parser(
        "publish", help="put an engine and its signed channel into a folder, for other stations"
    )
    action.add_argument("version", metavar="VERSION", help="number, name or start of the id; `active`; `latest`")
    action.add_argument("folder", type=Path, metavar="FOLDER", help="of this product: a share, or what a server shows")
    action.add_argument("--key", type=Path, required=True, metavar="KEY", help="secret key of minisign, which signs")
    action.add_argument("--days", type=positive, default=90, help="until the channel expires; default 90")
    action.add_argument("--sequence", type=positive, help="default: one more than that of the channel in FOLDER")
    add_config_option(action)
    add_json_option(action, "product, engine_id, sequence, issued, expires, archive, sha256, size")
    action.set_defaults(run=reporting(publish, ConfigurationError, EngineError))

    add_sums_parser(actions)
    add_refresh_parsers(actions)
    add_worker_parser(actions)

    action = actions.add_parser("pull", help="take the engine of [channel] into the store, as a candidate")
    add_config_option(action)
    add_json_option(action, "outcome, version, sequence, expires, signed_by, detail")
    action.set_defaults(run=reporting(pull, ConfigurationError))


def schema(_options: argparse.Namespace) -> int:
    """Prints a script for psql."""
    from station.northbound.postgres.schema import schema_text  # noqa: PLC0415

    print(schema_text(), end="")  # noqa: T201
    return 0


def publish(options: argparse.Namespace) -> int:
    """Exit code 2: nothing was published."""
    from engines.signatures.secret_key import read_secret_key  # noqa: PLC0415
    from station.commands.engines.engine import key_password, store_of  # noqa: PLC0415
    from station.fleet.channel import ChannelError, as_data  # noqa: PLC0415
    from station.fleet.publishing import publish as publish_engine  # noqa: PLC0415

    if options.days > MOST_DAYS:
        return complain(f"--days {options.days}; allowed: 1 to {MOST_DAYS}")
    store = store_of(config.load(options.config))
    key = read_secret_key(options.key, key_password)
    try:
        channel = publish_engine(
            store, store.find(options.version), options.folder, key,
            now=time.time(), days=options.days, sequence=options.sequence,
        )  # fmt: skip
    except ChannelError as problem:
        return complain(problem)
    said = f"{options.folder}: sequence {channel.sequence} of {channel.product}, signed with key {key.key_id}"
    show(
        options,
        as_data(channel),
        said,
        f"it expires {channel.expires}: publish again before, also without a new engine",
    )
    return 0


def pull(options: argparse.Namespace) -> int:
    """Exit code 1: the channel was refused or is away; the running engine goes on."""
    from station.commands.engines.engine import store_of  # noqa: PLC0415
    from station.fleet.channel import ChannelError  # noqa: PLC0415
    from station.fleet.pulling import Place  # noqa: PLC0415
    from station.fleet.pulling import pull as pull_engine  # noqa: PLC0415
    from station.fleet.sources import source_at  # noqa: PLC0415

    station = config.load(options.config)
    section = station.settings.channel
    if section.url is None:
        return complain("[channel] url is not set: there is nothing to pull from; see docs/integrator.md")
    try:
        ca_file = None if section.ca_file is None else station.resolve(section.ca_file)
        source = source_at(section.url, station.resolve, ca_file=ca_file, timeout_s=section.timeout_s)
        place = Place(source, store_of(station), station.trust, station.work_dir, section.max_mb << 20)
        pulled = pull_engine(place)
    except (ChannelError, EngineError) as problem:
        nothing = dict.fromkeys(("version", "sequence", "expires", "signed_by"))
        show(
            options,
            {"outcome": "refused", **nothing, "detail": str(problem)},
            f"nothing was imported: {one_line(str(problem))}",
        )
        return 1
    channel = pulled.channel
    said = "is in the store" if pulled.outcome == "imported" else "was in the store already"
    found = {"outcome": pulled.outcome, "version": pulled.version, "sequence": channel.sequence}
    show(
        options,
        {**found, "expires": channel.expires, "signed_by": str(pulled.signer), "detail": ""},
        f"{pulled.version} {said}: sequence {channel.sequence}, signed by {one_line(str(pulled.signer))}; to use it: "
        f"station engine activate {pulled.version}",
    )
    return 0
