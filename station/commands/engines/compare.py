"""`station engine compare`: two versions of the store on the same recent parts, and each part whose verdict changes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from rich.table import Table

from engines.store.store import EngineStore
from engines.store.versions import Version
from station.commands.engines.taking_up import add_recipe_option
from station.commands.options import add_config_option, add_json_option, complain, positive, print_json
from station.commands.progress import Signs, add_progress_option, end, fail, signs_of
from station.configuration.load import LoadedConfiguration
from station.jobs.comparison import FIGURES, Comparison, Judged, compare, judge, verdict_text
from station.jobs.refresh import learned_from, sha256_of
from station.jobs.refresh_labels import RefreshError, labels_on_record
from station.jobs.refresh_selection import PartImage, from_records, with_labels
from station.labels.schema import labels_beside
from station.records.images import write_atomic
from station.terminal import console

PARTS = 200
MAX_SHOWN = 20
Run = Callable[[argparse.Namespace, LoadedConfiguration, EngineStore], int]


def add_compare_parser(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    with_store: Callable[[Run], Callable[[argparse.Namespace], int]],
) -> None:
    """Adds `compare`; `with_store` opens configuration and store and reports what is wrong with them."""
    parser = actions.add_parser(
        "compare",
        help="two versions on the same recent parts: figures, and each part whose verdict changes",
        description="Judges recent parts, whose images are kept, with both versions under the station's own limits. "
        "Labels of people say what a part was. Activates nothing; the line goes first.",
    )
    version = "number, name or start of the id; `active`; `latest`"
    parser.add_argument("first", metavar="FIRST", help=f"{version}: the one to compare with")
    parser.add_argument("second", metavar="SECOND", help="the other one")
    parser.add_argument("--parts", type=positive, default=PARTS, metavar="N", help="the newest N (default %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="all of it as JSON")
    add_config_option(parser)
    add_json_option(parser, "first, second, comparison")
    add_recipe_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=with_store(run), gives_way=True)


def run(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """Compares and shows what changes."""
    try:
        first, second = store.find(options.first), store.find(options.second)
        records, recipe = configuration.records_dir, configuration.settings.recipe.name
        labels = labels_on_record(labels_beside(records))
        parts = with_labels(from_records(records, recipe=recipe, newest=options.parts), labels)
        comparison = _compared(configuration, parts, first, second, signs_of(options))
        if options.output is not None:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(options.output, comparison.as_json().encode())
    except (RefreshError, OSError) as problem:
        fail(options, problem)
        return complain(problem)
    if options.json:
        print_json({"first": first.name, "second": second.name, "comparison": asdict(comparison)})
    elif options.progress is None:
        _show(comparison, first, second)
    end(options, changed=len(comparison.changed), first=first.name, second=second.name)
    return 0


def _compared(
    configuration: LoadedConfiguration, parts: list[PartImage], first: Version, second: Version, signs: Signs
) -> Comparison:
    images = [(part.camera, part.image) for part in parts]
    judged: list[tuple[str, list[Judged]]] = []
    for number, version in enumerate((first, second)):
        before = number * len(images)
        judged.append(
            judge(
                configuration,
                version.path,
                images,
                lambda done, _, before=before: signs("compare", before + done, 2 * len(images)),  # type: ignore[misc]
            )
        )
    hashes = [sha256_of(image) for _, image in images]
    seen = [learned_from(version.path) for version in (first, second)]
    counts = [None if known is None else sum(each in known for each in hashes) for known in seen]
    comparison = compare(parts, judged[1], judged[0], seen_by_active=counts[0])
    if counts[1]:
        note = f"{second.name} learned from {counts[1]} of these images: its figures are too good."
        comparison = replace(comparison, notes=(*comparison.notes, note))
    return comparison


def _show(comparison: Comparison, first: Version, second: Version) -> None:
    engines = [(second.name, comparison.candidate)]
    if comparison.active is not None:
        engines.insert(0, (first.name, comparison.active))
    table = Table("", *(name for name, _ in engines), title=f"{sum(comparison.held_out.values())} recent images")
    for title, read in FIGURES:
        table.add_row(title, *(read(figures) for _, figures in engines))
    shown = console()
    shown.print(table)
    if comparison.changed:
        title = f"{len(comparison.changed)} verdicts change"
        changes = Table("part", "known as", first.name, second.name, title=title)
        for change in comparison.changed[:MAX_SHOWN]:
            changes.add_row(change.part_id, change.group, verdict_text(change.active), verdict_text(change.candidate))
        shown.print(changes)
    for note in comparison.notes:
        shown.print(f"- {note}")
