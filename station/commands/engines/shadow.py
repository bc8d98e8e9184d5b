"""`station engine shadow`: an engine that judges every part after the active one has, and what came of it."""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from engines.store.store import EngineStore
from station.commands.engines.taking_up import add_recipe_option
from station.commands.options import add_config_option, add_json_option, complain, positive, print_json
from station.configuration.load import LoadedConfiguration
from station.control import ControlError, StationNotRunning, request
from station.labels.schema import LabelError, labels_beside
from station.records.engines.shadows import runs
from station.records.schema import RecordingError, open_reader
from station.reports.candidate.gallery import write_gallery
from station.reports.candidate.in_words import directions, pairs_table, summary
from station.reports.candidate.shadowed import Shadowed, part_labels, shadowed
from station.reports.candidate.state_in_words import state_of
from station.reports.shifts import calendar_of
from station.terminal import console, say

ASK_S = 30.0
SHOWN = 20
OFF = "off"
Run = Callable[[argparse.Namespace, LoadedConfiguration, EngineStore], int]


def add_shadow_parser(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    with_store: Callable[[Run], Callable[[argparse.Namespace], int]],
) -> None:
    """Adds `shadow`; `with_store` opens configuration and store and reports what is wrong with them."""
    parser = actions.add_parser(
        "shadow",
        help="a version judges every part after the active one has; what both said, and whether enough was seen",
        description="With a version: the running station puts it into the shadow of the active engine. It sees parts "
        "after their verdict is out, on the processor, behind everything else, and never reaches the PLC. Without: "
        "shows what both said of the same parts, the parts that differ, and what their labels say.",
    )
    parser.add_argument(
        "version", nargs="?", metavar="VERSION", help="number, name or start of the id; `latest`; `off` ends it"
    )
    parser.add_argument("--gallery", type=Path, metavar="FILE", help="the parts that differ, as a picture (PNG or SVG)")
    parser.add_argument(
        "--parts",
        type=positive,
        default=SHOWN,
        metavar="N",
        help="parts that differ, the newest N (default %(default)s)",
    )
    add_config_option(parser)
    add_json_option(parser, "version; without a version: state, runs, shadow")
    add_recipe_option(parser)
    parser.set_defaults(run=with_store(run))


def run(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """Begins, ends or shows."""
    try:
        if options.version is not None:
            return _ask(options, configuration, store)
        return _show(options, configuration)
    except (ControlError, RecordingError, LabelError, sqlite3.Error, OSError) as problem:
        return complain(problem)


def _ask(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    message: dict[str, Any] = {"command": "shadow"}
    if options.version != OFF:
        message["version"] = store.find(options.version).name
    version = str(request(configuration.control_socket, message, ASK_S)["version"])
    if options.json:
        print_json({"version": version})
    elif version:
        say(f"{version} is in the shadow; what it says: station engine shadow")
    else:
        say("no engine is in the shadow any more; what the last one said: station engine shadow")
    return 0


def _show(options: argparse.Namespace, configuration: LoadedConfiguration) -> int:
    state = _state(configuration.control_socket)
    found: Shadowed | None = None
    if options.gallery is not None and options.gallery.suffix not in (".png", ".svg"):
        return complain(f"--gallery {options.gallery}: a name that ends in .png or .svg")
    with closing(open_reader(configuration.records_dir)) as records:
        known = runs(records)
        if known:
            found = shadowed(records, part_labels(labels_beside(configuration.records_dir)), known[0])
        if options.gallery is not None:
            differing = [] if found is None else found.differing[: options.parts]
            write_gallery(records, differing, configuration, options.gallery)
    if options.json:
        print_json(
            {"state": state, "runs": [asdict(one) for one in known], "shadow": None if found is None else _json(found)}
        )
        return 0
    if state is not None:
        say(state_of(state))
    if found is None:
        say("no engine was in the shadow yet: station engine shadow VERSION")
        return 0
    _tables(found, options, configuration)
    return 0


def _tables(found: Shadowed, options: argparse.Namespace, configuration: LoadedConfiguration) -> None:
    shown, calendar = console(), calendar_of(configuration.settings.station)
    since = calendar.clock(found.run.run / 1000, "min")
    head, rows = pairs_table(found)
    table = Table(*head, title=f"{found.run.version} in the shadow since {since}: {summary(found)}")
    for counts in rows:
        table.add_row(*counts)
    shown.print(table)
    findings = Table("", "finding", "only the active one wrong", "only the shadow", "not labelled", "e-values")
    for line in directions(found):
        findings.add_row(*line)
    shown.print(findings)
    if found.differing:
        title = (
            f"{len(found.differing)} parts differ, {found.to_label} without a label (station label, or the review page)"
        )
        parts = Table("part", "time", "active", "shadow", "label", title=title)
        for one in found.differing[: options.parts]:
            row = one.row
            place = f"{row.part_id} ({row.session}/{row.acquisition_id})"
            scores = [verdict if score is None else f"{verdict} {score:.3f}" for verdict, score in
                      ((row.active_verdict, row.active_score), (row.verdict, row.score))]  # fmt: skip
            parts.add_row(place, calendar.clock(row.wall_time), *scores, one.label or "-")
        shown.print(parts)


def _json(found: Shadowed) -> dict[str, Any]:
    def direction(name: str) -> dict[str, Any]:
        one = getattr(found, name)
        return {
            **asdict(one),
            "finding": one.finding,
            "e_better": one.better,
            "e_worse": one.worse,
            "e_not_worse": one.not_worse,
        }

    return {
        "run": asdict(found.run),
        "seen": found.seen,
        "seen_share": found.seen_share,
        "failed": found.failed,
        "pairs": [
            {"active": active, "shadow": shadow, "parts": count} for (active, shadow), count in found.pairs.items()
        ],
        "false_rejects": direction("false_rejects"),
        "escapes": direction("escapes"),
        "enough": found.is_enough,
        "differing": [{**asdict(one.row), "label": one.label} for one in found.differing],
    }


def _state(socket: Path) -> dict[str, Any] | None:
    """Of the shadow in the running station; None: no station runs."""
    try:
        return dict(request(socket, {"command": "status"})["status"]["shadow"])
    except StationNotRunning:
        return None
