"""`station engine gate`: what is known of a candidate beside the active engine, before somebody activates it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict

from rich.table import Table

from engines.errors import StoreError
from engines.store.store import EngineStore
from engines.store.versions import Version
from station.commands.engines.taking_up import add_recipe_option
from station.commands.options import add_config_option, add_json_option, print_json
from station.configuration.load import LoadedConfiguration
from station.reports.candidate.gate import Check, gate
from station.terminal import coloured, console

COLOURS = {"green": "green", "red": "red", "not known": "yellow"}
Run = Callable[[argparse.Namespace, LoadedConfiguration, EngineStore], int]


def add_gate_parser(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    with_store: Callable[[Run], Callable[[argparse.Namespace], int]],
) -> None:
    """Adds `gate`; `with_store` opens configuration and store and reports what is wrong with them."""
    parser = actions.add_parser(
        "gate",
        help="what is known of a version before it is activated: golden images, labels, shadow, master parts, curves",
        description="Every line is green, red, or not known, with the reason. A version that is red is activated only "
        "with --why, which the history and the audit log keep as an override. Exit code 1: something is red.",
    )
    version = "number, name or start of the id; `latest`"
    parser.add_argument("version", nargs="?", default="latest", metavar="VERSION", help=version)
    add_config_option(parser)
    add_json_option(parser, "version, active, checks (name, light, why)")
    add_recipe_option(parser)
    parser.set_defaults(run=with_store(run))


def run(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """Shows the gate."""
    version = store.find(options.version)
    checks = checks_of(configuration, store, version)
    if options.json:
        active = _active(store)
        named = {"version": version.name, "active": None if active is None else active.name}
        print_json({**named, "checks": [asdict(check) for check in checks]})
    else:
        table = Table("", "", "why", title=f"gate of {version.name}")
        for check in checks:
            table.add_row(check.name, coloured(check.light, COLOURS[check.light]), check.why)
        console().print(table)
    return int(any(check.light == "red" for check in checks))


def checks_of(configuration: LoadedConfiguration, store: EngineStore, version: Version) -> list[Check]:
    """The gate of a version beside the active one; empty where it is the active one. Raises EngineError."""
    active = _active(store)
    if version == active:
        return []
    return gate(configuration.records_dir, None if active is None else active.path, version.path)


def _active(store: EngineStore) -> Version | None:
    try:
        return store.active()
    except StoreError:
        return None
