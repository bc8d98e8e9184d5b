"""`station teach`: an engine from a folder of images, or from the next parts of the running line."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.manifest import Reviews
from engines.bundle.reviews import advice, price_header, price_rows
from engines.teach_request import FROM_LINE, OPTIONS, add_options, request_from
from station.commands.options import add_config_option, add_json_option, ask, complain, print_json
from station.configuration.load import ConfigurationError, load_station
from station.control import ControlError
from station.jobs.height_images import pictures_of_heights
from station.jobs.process import JobError, JobProgress
from station.jobs.progress import ProgressBar, follow_teaching
from station.jobs.teaching import command_again, teach
from station.terminal import coloured, console

MAX_NAMES = 10
"""Removed images that are listed by name; the dossier shows all."""
_FROM_FOLDER = tuple(name for name in OPTIONS if name not in (*FROM_LINE, "cache"))


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `teach`."""
    parser = commands.add_parser(
        "teach",
        help="train an engine from a folder of images or from the live line",
        description="Trains an engine on images of good parts; defective ones among them are found and left out. "
        "Beside the engine lies its dossier: what was removed and why, and how to take a removal back (--veto).",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="MVTec layout (train/good) or a plain folder")
    source.add_argument("--parts", type=int, metavar="N", help="the next N parts of the running station")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the new engine; must not exist yet")
    add_options(parser, FROM_LINE)
    add_json_option(parser, "engine, engine_id, images, removed, promise, finds, reviews, warnings, question, and more")
    add_config_option(parser)
    folder = parser.add_argument_group("with --images")
    add_options(folder, _FROM_FOLDER)
    folder.add_argument(
        "--heights-of", metavar="CAMERA", help="the images are heights (16 bit), as [cameras.CAMERA.depth] says"
    )
    cache = folder.add_mutually_exclusive_group()
    add_options(cache, ("cache",), cache={"help": "features for the next time; default: the cache folder of the user"})
    cache.add_argument("--no-cache", action="store_const", const=True, help="compute all features and keep none")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Teaches and prints what came out."""
    only_folder = [
        name for name in (*_FROM_FOLDER, "cache", "no_cache", "heights_of") if getattr(options, name) is not None
    ]
    if options.parts is not None and only_folder:
        return complain(
            f"--{only_folder[0].replace('_', '-')} goes with --images; teach from the line without it, and then from "
            "the images that the line has left in WORK_DIR/teaching/good"
        )
    try:
        with ProgressBar() as bar:
            summary = _from_folder(options, bar) if options.images else _from_line(options, bar)
    except (JobError, ConfigurationError, ControlError) as problem:
        return complain(problem)
    if options.json:
        print_json(as_json(options.output, summary))
        return 0
    shown = console()
    shown.print(summary_table(options.output, summary))
    shown.print(price_table(Reviews.model_validate_json(json.dumps(summary["reviews"]))))
    return 0


def _from_folder(options: argparse.Namespace, bar: ProgressBar) -> dict[str, Any]:
    request = request_from(options)
    again = replace(request, veto=None)  # the dossier adds the veto of the next time
    if request.cache is None and not options.no_cache:
        request = replace(request, cache=default_cache())
    shown = command_again(options.images, options.output, again)
    if options.heights_of is not None:
        shown = (*shown, f"--heights-of={options.heights_of}", f"--config={options.config.absolute()}")
    with _learned(options, bar) as images:
        result = teach(images, options.output, request, shown_command=shown, on_progress=bar.show)
    return {"engine_id": result.engine_id, **result.summary}


@contextmanager
def _learned(options: argparse.Namespace, bar: ProgressBar) -> Iterator[Path]:
    """The folder of images to learn from: the one that was given, or one with the pictures of the heights in it."""
    if options.heights_of is None:
        yield options.images
        return
    loaded = load_station(options.config)
    camera = loaded.settings.cameras.get(options.heights_of)
    if camera is None or camera.depth is None:
        with_depth = ", ".join(name for name, one in loaded.settings.cameras.items() if one.depth is not None)
        raise JobError(
            f'--heights-of "{options.heights_of}": {options.config} has no [cameras.{options.heights_of}.depth]; '
            f"3-D cameras there: {with_depth or 'none'}"
        )
    most = loaded.settings.quality_on(options.heights_of).max_missing_share
    with tempfile.TemporaryDirectory(prefix="station-heights-") as folder:
        pictures_of_heights(
            options.images, camera.depth.settings, camera.depth.spec, Path(folder), most_missing=most,
            on_progress=lambda done, total: bar.show(JobProgress("heights", done, total, 0.0)),
        )  # fmt: skip
        yield Path(folder)


def default_cache() -> Path | None:
    """Where programs keep what can be computed again (XDG Base Directory).

    None where there is no such place: services have no home, or one that they may not use.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))  # only an absolute path counts
    try:
        folder = (named if named.is_absolute() else Path.home() / ".cache") / "station" / "features"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _from_line(options: argparse.Namespace, bar: ProgressBar) -> dict[str, Any]:
    wanted = request_from(options, FROM_LINE)
    message = {"command": "teach", "parts": options.parts, "output": str(options.output.resolve())}
    ask(options.config, {**message, **{name: getattr(wanted, name) for name in FROM_LINE}})
    return follow_teaching(lambda: ask(options.config, {"command": "status"})["status"]["teaching"], bar.show)


def as_json(output: Path, summary: dict[str, Any]) -> dict[str, Any]:
    """What a teaching gave, for scripts."""
    return {"engine": output, **summary}


def summary_table(output: Path, summary: dict[str, Any]) -> Table:
    """What a teaching gave, for people. `summary`: see `engines.training.teach.Summary`."""
    table = Table(show_header=False, title=f"engine {output}")

    def row(title: str, text: str) -> None:
        table.add_row(title, text)

    if summary["question"]:
        table.add_row("question", coloured(summary["question"], "yellow"))
    for warning in summary["warnings"]:
        table.add_row("warning", coloured(warning, "yellow"))
    removed = summary["removed"]
    row("id", summary["engine_id"][:12])
    row("taught", f"{summary['detector']} on {summary['images']} images in {summary['seconds']:.0f} s")
    row("part", summary["preprocessing"])
    row("removed", f"{len(removed)} of {summary['images']}" + (f": {_names(removed)}" if removed else ""))
    row("dirt", f"about {summary['dirt_share']:.1%} of the images" if summary["dirt_share"] else "the data look clean")
    row("not learned", f"{summary['masked_share']:.1%} of the places in the other images look defective")
    for sentence in summary["finds"]:
        row("finds", sentence)
    for sentence in summary["pictures"]:
        row("pictures", sentence)
    row("promise", summary["promise"])
    if summary["suspects"]:
        row("suspects", summary["suspects"])
    if summary["known_defects"]:
        row("known defects", summary["known_defects"])
    if summary["kinds"]:
        row("kinds of defect", summary["kinds"])
    for file, parity in summary["graphs"].items():
        row(file, parity)
    row("dossier", str(output / DOSSIER_FOLDER / "dossier.html"))
    row("to use it", f"station engine import {output}; without a store: set engine.path to it")
    return table


def price_table(reviews: Reviews) -> Table:
    """What each review budget costs and catches, with the advice on it."""
    table = Table(*price_header(reviews), title="what --review-budget costs and catches", caption=advice(reviews))
    for row in price_rows(reviews):
        table.add_row(*row)
    return table


def _names(names: Sequence[str]) -> str:
    """A few file names, which are anything but tame, on one line."""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"
