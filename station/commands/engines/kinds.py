"""`station engine kinds`: what rejects are called is learned anew from labels, in seconds."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.table import Table

from engines.cores import usable_cores
from engines.store.store import EngineStore
from station.commands.engines.taking_up import add_recipe_option
from station.commands.options import add_config_option, add_json_option, complain, positive, print_json
from station.commands.progress import add_progress_option, end, fail, sign_job
from station.commands.signals import terminable
from station.configuration.load import LoadedConfiguration
from station.jobs.kinds.labelled import named_on_record
from station.jobs.kinds.relearning import Relearned, relearn_kinds
from station.jobs.process import JobError
from station.jobs.progress import ProgressBar
from station.jobs.refresh import only_refresh
from station.jobs.refresh_labels import RefreshError
from station.terminal import console, one_line, say

Run = Callable[[argparse.Namespace, LoadedConfiguration, EngineStore], int]


def add_kinds_parser(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    with_store: Callable[[Run], Callable[[argparse.Namespace], int]],
) -> None:
    """Adds `kinds`; `with_store` opens configuration and store and reports what is wrong with them."""
    parser = actions.add_parser(
        "kinds",
        help="learn anew, in seconds, what rejects are called: a candidate that judges as the active engine does",
        description="Takes the defective parts on record whose class people named (station label, the review page), "
        "and what the engine was taught, and makes a candidate that differs from the active engine in the kinds it "
        "suggests alone: scores, maps and limits are the same. Activates nothing, needs no PyTorch.",
    )
    parser.add_argument(
        "--labels-only",
        action="store_true",
        help="kinds that were named in the teaching do not count; those that nobody labelled here are dropped",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="CPU threads; default: all cores but one")
    add_config_option(parser)
    add_json_option(parser, "candidate, path, before, notes, kinds")
    add_recipe_option(parser)
    add_progress_option(parser)
    parser.set_defaults(run=with_store(run), gives_way=True)


def run(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """Makes the candidate and shows what it knows."""
    try:
        with terminable(), only_refresh(configuration.work_dir / "kinds"), ProgressBar() as bar:
            named = named_on_record(configuration.records_dir, configuration.settings.recipe.name)
            done = relearn_kinds(
                configuration,
                store,
                named,
                labels_only=options.labels_only,
                threads=options.threads or max(1, usable_cores() - 1),
                on_progress=bar.show if options.progress is None else sign_job,
            )
    except (RefreshError, JobError) as problem:
        fail(options, problem)
        return complain(problem)
    if options.json:
        print_json(as_json(done))
    elif options.progress is None:
        _show(done, options)
    end(options, version=done.candidate.name)
    return 0


def as_json(done: Relearned) -> dict[str, object]:
    """The candidate and what it knows, for scripts."""
    named = {"candidate": done.candidate.name, "path": done.candidate.path, "before": done.before.name}
    return {**named, "notes": list(done.notes), "kinds": done.summary["kinds"]}


def _show(done: Relearned, options: argparse.Namespace) -> None:
    table = Table("kind", "labelled images", title=f"candidate {done.candidate.name}")
    for name, count in done.summary["kinds"].items():
        table.add_row(one_line(name), str(count))
    console().print(table)
    say(one_line(str(done.summary["in_words"])))
    difference = float(done.summary["largest_difference"])
    same = "to the bit" if difference == 0 else f"within {difference:.2g}"
    say(f"Scores and maps of its golden images and sample are those of {done.before.name}, {same}.")
    for note in done.notes:
        say(f"- {one_line(note)}")
    command = f"station engine activate {done.candidate.number} --config {options.config}"
    say(f"Nothing was activated. To use it: {command}")
