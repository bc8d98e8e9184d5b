"""`station fleet sums`: what sites know of their good images, as sums that add, without one of the images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from station.commands.options import add_config_option, add_json_option, reporting, show
from station.configuration import load as config
from station.configuration.load import ConfigurationError
from station.jobs.process import JobError
from station.jobs.sums import absolute, run_sums
from station.terminal import one_line

MEGABYTE = 1e6
HOLDS = "output, images, sites, masked, key, size"


def add_sums_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `sums`."""
    parser = actions.add_parser(
        "sums",
        help="what sites know of their good images, as sums without images: a prior for station teach",
        description="Sums of the default detector's closed form add exactly. The sum of several sites is a prior for "
        "a site that has few images: station teach --prior FILE. With masks whoever combines learns the sum alone.",
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    step = steps.add_parser("key", help="for one masked round: a card for all other sites, and the secret of this one")
    step.add_argument("site", metavar="SITE", help="name of this site in the round: letters, digits, . _ -")
    step.add_argument("--card", type=Path, required=True, metavar="FILE", help="goes to every other site; no secret")
    step.add_argument("--secret", type=Path, required=True, metavar="FILE", help="stays here; gone after one export")
    add_json_option(step, "site, card, secret")
    step.set_defaults(run=_reported(key))

    step = steps.add_parser("export", help="the sums of an engine, of all its blocks")
    step.add_argument("version", metavar="VERSION", help="number, name or start of the id; `active`; `latest`")
    step.add_argument("--output", type=Path, required=True, metavar="FILE", help="must not exist yet")
    step.add_argument("--backbone", metavar="NAME", help="that it was taught with, where that is not lite0")
    step.add_argument("--secret", type=Path, metavar="FILE", help="of this site: the output is a masked share")
    _add_cards(step)
    add_config_option(step)
    add_json_option(step, HOLDS)
    step.set_defaults(run=_reported(export))

    step = steps.add_parser("combine", help="the sum of several sites, of their sums or their masked shares")
    step.add_argument("files", type=Path, nargs="+", metavar="FILE")
    step.add_argument("--output", type=Path, required=True, metavar="FILE", help="must not exist yet")
    _add_cards(step)
    add_json_option(step, HOLDS)
    step.set_defaults(run=_reported(combine))


def key(options: argparse.Namespace) -> int:
    """Makes the keys of a site for one round."""
    found = run_sums(
        "key", [f"--site={options.site}", absolute("card", options.card), absolute("secret", options.secret)]
    )
    show(
        options,
        found,
        f"{one_line(str(options.card))}: give it to every other site, by a way that you trust",
        f"{one_line(str(options.secret))}: keep it for station fleet sums export --secret, with the cards of all sites",
    )
    return 0


def export(options: argparse.Namespace) -> int:
    """Writes the sums of an engine, or its masked share."""
    from station.commands.engines.engine import store_of  # noqa: PLC0415

    engine = store_of(config.load(options.config)).find(options.version).path
    arguments = [absolute("engine", engine), absolute("output", options.output)]
    if options.backbone is not None:
        named = Path(options.backbone)
        arguments.append(absolute("backbone", named) if named.suffix else f"--backbone={options.backbone}")
    if options.secret is not None:
        arguments.append(absolute("secret", options.secret))
    return _done(options, run_sums("export", [*arguments, *_cards(options)]))


def combine(options: argparse.Namespace) -> int:
    """Writes the sum."""
    files = [absolute("files", file) for file in options.files]
    return _done(options, run_sums("combine", [absolute("output", options.output), *files, *_cards(options)]))


def _done(options: argparse.Namespace, found: dict[str, Any]) -> int:
    said = f"{one_line(str(options.output))}: {found['images']} images, sites: {found['sites']}"
    of_share = f"a masked share of {found['sites']} sites: it says nothing alone; the secret is gone"
    if options.step == "export" and found["masked"]:
        said = f"{one_line(str(options.output))}: {of_share}"
    show(options, found, f"{said}, {found['size'] / MEGABYTE:.1f} MB; as a prior: station teach --prior FILE")
    return 0


def _add_cards(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--cards", type=Path, nargs="+", default=[], metavar="FILE", help="of all sites of a masked round, at least 3"
    )


def _cards(options: argparse.Namespace) -> list[str]:
    return [absolute("cards", file) for file in options.cards]


def _reported(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    return reporting(run, ConfigurationError, EngineError, JobError)
