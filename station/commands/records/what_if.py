"""`station what-if`: what other limits would have made of stored parts, before anybody sets them."""

from __future__ import annotations

import argparse
from typing import Any

from engines.errors import EngineError
from station.commands.options import BadInput, add_config_option, add_json_option, print_json
from station.commands.progress import add_progress_option, end, signs_of
from station.commands.records.selecting import reporting
from station.configuration.editing.proposal import propose
from station.configuration.editing.sets import as_sets, change_of
from station.configuration.load import load
from station.jobs.what_if.asking import what_if
from station.jobs.what_if.figures import NoEngine, Outcome
from station.line.inspection.limits import LimitsError
from station.terminal import say

NEWEST, MOST = 10_000, 200_000


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `what-if`."""
    parser = commands.add_parser(
        "what-if",
        help="what other limits would have made of stored parts, before anybody sets them",
        description="Decides stored parts again, under the limits of now and under others. Where limits alone differ, "
        "from their rows; where regions or ignored zones do, from the images that are kept, by the engine.",
    )
    parser.add_argument("--set", dest="sets", action="append", required=True, metavar="KEY=VALUE",
                        help="as decision.reject_score=0.55; VALUE as JSON, null takes the key out")  # fmt: skip
    parser.add_argument("--recipe", metavar="NAME", help="default: the one that was selected last")
    parser.add_argument("--newest", type=int, default=NEWEST, metavar="N", help="parts; default: %(default)s")
    add_progress_option(parser)
    add_json_option(parser, "from_images, parts, before, after, moves, sampled, changed, changed_parts, good, "
                    "defective, notes")  # fmt: skip
    add_config_option(parser)
    parser.set_defaults(run=reporting(run), gives_way=True)


def run(options: argparse.Namespace) -> int:
    """Prints what changes; nothing is set."""
    if not 1 <= options.newest <= MOST:
        raise BadInput(f"--newest {options.newest}: from 1 to {MOST}")
    try:
        changes = dict(change_of(text) for text in options.sets)
    except ValueError as problem:
        raise BadInput(f"--set {problem}") from problem
    before = load(options.config, options.recipe)
    after = propose(before, changes).after
    try:
        outcome = what_if(before, after, newest=options.newest, on_step=signs_of(options))
    except (EngineError, LimitsError, NoEngine) as problem:
        raise BadInput(str(problem)) from problem
    if options.json:
        print_json(outcome.as_dict())
    elif options.progress is None:
        for line in in_words(outcome):
            say(line)
    based_on = [before.checksum, before.recipe_checksum]
    end(options, sets=[text for _, text in as_sets(changes)], based_on=based_on, newest=options.newest,
        **outcome.as_dict())  # fmt: skip
    return 0


def in_words(outcome: Outcome) -> list[str]:
    """For people at a shell."""
    how = "from their images" if outcome.from_images else "from their rows"
    lines = [f"{outcome.parts} parts decided again {how}; {outcome.changed_parts} change"]
    lines += [f"{move}: {count:g}" for move, count in outcome.moves.items()]
    lines += [_of_good(outcome.good), _of_defective(outcome.defective)]
    lines += [f"{count} parts: {note}" for note, count in outcome.notes.items() if count]
    for one in outcome.changed[:20]:
        label = f", labelled {one['label']}" if one["label"] else ""
        key = f"{one['session']}/{one['acquisition_id']}"
        lines.append(f"part {one['part_id']} ({key}): {one['before']} > {one['after']}{label}")
    return lines


def _of_good(good: dict[str, Any]) -> str:
    if not good["n"]:
        return "false rejects: not known, no part is labelled good"
    _, low, high = (100 * share for share in good["rejected_after_share"])
    return (
        f"labelled good: {good['rejected_before']} rejected > {good['rejected_after']} of {good['n']} "
        f"({low:.2f} to {high:.2f} %), in review {good['review_before']} > {good['review_after']}"
    )


def _of_defective(defective: dict[str, Any]) -> str:
    if not defective["n"]:
        return "escapes: not known, no part is labelled defective"
    return (
        f"labelled defective: {defective['passed_before']} pass > {defective['passed_after']} of {defective['n']} "
        f"(at most {100 * defective['passed_after_at_most']:.1f} %)"
    )
