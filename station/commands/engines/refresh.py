"""`station refresh`: a candidate engine from recent parts, beside the working line."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from rich.table import Table

from engines.bundle.files import DOSSIER_FOLDER
from engines.cores import usable_cores
from engines.errors import EngineError
from engines.store.store import EngineStore
from engines.teach_request import FILES, OPTIONS, TeachRequest, add_options, request_from
from station.commands.engines.engine import store_of
from station.commands.engines.taking_up import add_recipe_option
from station.commands.options import add_config_option, add_json_option, complain, positive, print_json
from station.commands.progress import add_progress_option, end, fail, sign_job
from station.commands.signals import terminable
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.jobs.comparison import FIGURES, verdict_text
from station.jobs.process import JobError
from station.jobs.progress import ProgressBar
from station.jobs.refresh import Refreshed, discard, only_refresh, open_job, refresh
from station.jobs.refresh_labels import (
    Label,
    RefreshError,
    by_name,
    by_part,
    classes_on_record,
    labels_on_record,
    read_labels,
)
from station.jobs.refresh_process import USUAL_PARTS
from station.jobs.refresh_selection import (
    PartImage,
    RefreshSelection,
    from_folder,
    from_records,
    has_parts,
    named_on_record,
    only_named,
    read_names,
    read_veto,
    select,
    with_classes,
    with_labels,
)
from station.jobs.teaching import as_arguments
from station.labels.schema import labels_beside
from station.reports.shifts import calendar_of
from station.terminal import console

MAX_SHOWN = 12
_AGAIN = ("config", "recipe", "recorded_as", "records", "images", "labels", "only", "parts", "add")
"""What the command of the dossier repeats."""
_OPTIONS = tuple(name for name in OPTIONS if name not in FILES)
"""The files of a teaching are written by the refresh itself; its `--veto` is for an earlier refresh."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `refresh`."""
    parser = commands.add_parser(
        "refresh",
        help="make a candidate engine from recent parts",
        description="Trains a candidate on recent parts, compares it with the active engine on parts held out, and "
        "puts it into the engine store. Activates nothing. Interrupted by SIGTERM it goes on at the next call; Ctrl-C "
        "drops what was done.",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--records", type=Path, metavar="PATH", help="records.db; default: the records of --config")
    source.add_argument("--images", type=Path, metavar="DIR", help="a folder of images in place of the records")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="part_id,label (CSV or JSON): good or defective")
    parser.add_argument("--veto", type=Path, metavar="FILE", help="removed by an earlier refresh, and good after all")
    parser.add_argument(
        "--only",
        type=Path,
        metavar="FILE",
        help="these parts, one a line: SESSION/ACQUISITION_ID; with --images: file names",
    )
    parser.add_argument(
        "--parts", type=positive, default=USUAL_PARTS, metavar="N", help="the newest N (default %(default)s)"
    )
    parser.add_argument(
        "--add",
        action="store_true",
        help="learn the new parts beside all that the active engine has learned, block by block; without: them alone",
    )
    add_options(parser, _OPTIONS, threads={"type": positive, "help": "CPU threads; default: all cores but one"})
    add_recipe_option(parser)
    parser.add_argument("--recorded-as", metavar="NAME", help="the name that the recipe had when the parts came")
    add_json_option(parser, "candidate, path, notes, comparison")
    add_config_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=run, gives_way=True)


def run(options: argparse.Namespace) -> int:
    """Makes the candidate and shows how it compares."""
    try:
        configuration = config.load(options.config, options.recipe)
        store = store_of(configuration)
        work = configuration.work_dir / "refresh"
        with terminable(), only_refresh(work) as lock, ProgressBar() as bar:
            try:
                request = _request(options, store)
                key = _key(options, configuration, request)
                job = open_job(work, key, lambda: _select(options, configuration))
                done = refresh(
                    configuration,
                    store,
                    job,
                    request,
                    lock=lock,
                    shown_command=_command_again(options),
                    on_progress=bar.show if options.progress is None else sign_job,
                )
            except (KeyboardInterrupt, RefreshError, JobError):  # trying again would end the same way
                discard(work)
                raise
    except (RefreshError, JobError, ConfigurationError, EngineError) as problem:
        fail(options, problem)
        return complain(problem)
    if options.json:
        print_json(as_json(done))
    elif options.progress is None:
        _show(done, options.config)
    end(options, version=done.candidate.name)
    return 0


def _select(options: argparse.Namespace, configuration: LoadedConfiguration) -> RefreshSelection:
    if options.images is not None:
        parts = from_folder(options.images, newest=options.parts)
        if options.only is not None:
            parts = only_named(parts, read_names(options.only, "only"))
    else:
        kept, classes = _kept_labels(options, configuration)
        parts = with_classes(with_labels(_on_record(options, configuration), kept), classes)
        if options.only is not None:  # of the others only those that say what defects look like
            chosen = set(read_names(options.only, "only"))
            parts = [part for part in parts if part.key in chosen or part.label is Label.DEFECTIVE]
    labels = {} if options.labels is None else _labels_of_file(options, configuration)
    vetoed = read_veto(options.veto) if options.veto is not None else frozenset()
    selection = select(with_labels(parts, labels, vetoed), named={*labels, *vetoed})
    return replace(selection, notes=(*selection.notes, *_old_name(options, configuration)))


def _on_record(options: argparse.Namespace, configuration: LoadedConfiguration) -> list[PartImage]:
    """The newest parts; with `--only` those that it names, and the newest beside them."""
    records, recipe = options.records or configuration.records_dir, _recorded_as(options, configuration)
    if options.only is None:
        return from_records(records, recipe=recipe, newest=options.parts)
    named = named_on_record(records, list(dict.fromkeys(read_names(options.only, "only"))), recipe=recipe)
    there = {part.key for part in named}
    return [*(p for p in from_records(records, recipe=recipe, newest=options.parts) if p.key not in there), *named]


def _recorded_as(options: argparse.Namespace, configuration: LoadedConfiguration) -> str:
    """Under which name of the recipe the parts are on record."""
    return str(options.recorded_as or configuration.settings.recipe.name)


def _old_name(options: argparse.Namespace, configuration: LoadedConfiguration) -> tuple[str, ...]:
    """A note where parts of the product are on record under the name that it had before."""
    product, name = configuration.settings.engine.product, configuration.settings.recipe.name
    if options.images is not None or options.recorded_as is not None or product in (None, name):
        return ()
    if not has_parts(options.records or configuration.records_dir, product):
        return ()
    return (f'Parts that are on record as recipe "{product}" were not used: --recorded-as {product} takes those.',)


def _labels_of_file(options: argparse.Namespace, configuration: LoadedConfiguration) -> dict[str, Label]:
    """By the names that `with_labels` knows."""
    calendar = calendar_of(configuration.settings.station)
    said = read_labels(options.labels, calendar)
    if options.images is not None:
        return by_name(said, options.labels)
    records = options.records or configuration.records_dir
    recipe = _recorded_as(options, configuration)
    return by_part(said, options.labels, records=records, recipe=recipe, calendar=calendar)


def _kept_labels(
    options: argparse.Namespace, configuration: LoadedConfiguration
) -> tuple[dict[str, Label], dict[str, str]]:
    """Labels and classes of defects of `station label`, which keeps them beside the folder of the records."""
    if options.images is not None:
        return {}, {}
    file = labels_beside(options.records or configuration.records_dir)
    return labels_on_record(file), classes_on_record(file)


def _key(options: argparse.Namespace, configuration: LoadedConfiguration, request: TeachRequest) -> str:
    """What a call must share with an interrupted one to continue it."""
    said = [
        file.read_bytes() if file is not None and file.is_file() else b""
        for file in (options.labels, options.veto, options.only)
    ]
    source = [str(path.resolve()) if path is not None else "" for path in (options.records, options.images)]
    kept = [sorted(each.items()) for each in _kept_labels(options, configuration)]
    recipe = configuration.settings.recipe.name, _recorded_as(options, configuration)
    return repr((source, recipe, said, kept, options.parts, request))


def _request(options: argparse.Namespace, store: EngineStore) -> TeachRequest:
    """Raises RefreshError: there is nothing to add to."""
    request = request_from(options, _OPTIONS)
    if options.add:
        active = store.active()
        blocks = None if active is None else active.path / DOSSIER_FOLDER / "blocks"
        if blocks is None or not blocks.is_dir():
            raise RefreshError("--add: the active engine has no blocks to add to; teach or refresh without --add once")
        request = replace(request, earlier=blocks)
    elif request.without or request.weigh:
        raise RefreshError("--without and --weigh name blocks of the active engine: only together with --add")
    return replace(request, threads=options.threads or max(1, usable_cores() - 1))


def _command_again(options: argparse.Namespace) -> tuple[str, ...]:
    again = {name: getattr(options, name) or None for name in _AGAIN}
    return ("station", "refresh", *as_arguments(again | request_from(options, _OPTIONS).given()))


def as_json(done: Refreshed) -> dict[str, object]:
    """The candidate and how it compares, for scripts."""
    named = {"candidate": done.candidate.name, "path": done.candidate.path, "notes": list(done.notes)}
    return {**named, "comparison": asdict(done.comparison)}


def _show(done: Refreshed, config_path: Path) -> None:
    comparison = done.comparison
    engines = [("candidate", comparison.candidate)]
    if comparison.active is not None:
        engines.insert(0, ("active", comparison.active))
    table = Table("", *(name for name, _ in engines), title=f"candidate {done.candidate.name}")
    for title, read in FIGURES:
        table.add_row(title, *(read(figures) for _, figures in engines))
    if comparison.agreement is not None:
        table.add_row("same verdict", f"{comparison.agreement:.1%}")
    shown = console()
    shown.print(table)
    if comparison.changed:
        changes = Table("part", "known as", "active", "candidate", title=f"{len(comparison.changed)} verdicts change")
        for change in comparison.changed[:MAX_SHOWN]:
            changes.add_row(change.part_id, change.group, verdict_text(change.active), verdict_text(change.candidate))
        shown.print(changes)
    for note in (*done.notes, *comparison.notes):
        shown.print(f"- {note}")
    shown.print(f"All of it: {done.candidate.path / 'refresh'}", soft_wrap=True)
    command = f"station engine activate {done.candidate.number} --config {config_path}"
    shown.print(f"Nothing was activated. To use it: {command}", soft_wrap=True)
