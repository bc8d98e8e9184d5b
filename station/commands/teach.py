"""`station teach`: an engine from a folder of images, or from the next parts of the running line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from engines.bundle.files import DOSSIER_FOLDER
from station.commands.options import add_config_option, ask, complain
from station.configuration.load import ConfigurationError
from station.control import ControlError
from station.jobs.process import JobError
from station.jobs.progress import ProgressBar, follow_teaching
from station.jobs.teaching import command_again, name_or_file, teach

MAX_NAMES = 10
"""Removed images that are told by name; the dossier shows all."""
_CHOICES = (
    "detector",
    "backbone",
    "location",
    "ignore",
    "template_box",
    "template_angle_deg",
    "refine",
    "steps",
    "int8",
)
_FILES = ("known_good", "known_bad", "veto")


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
    parser.add_argument(
        "--false-reject-budget", type=float, default=0.01, metavar="SHARE", help="good parts that may be rejected"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_config_option(parser)
    folder = parser.add_argument_group("with --images")
    add_choices(folder)
    folder.add_argument("--known-good", type=Path, metavar="FILE", help="images never to remove, one name a line")
    folder.add_argument("--known-bad", type=Path, metavar="FILE", help="images not to learn, one name a line")
    folder.add_argument("--veto", type=Path, metavar="FILE", help="removed images that are good after all")
    cache = folder.add_mutually_exclusive_group()
    cache.add_argument("--cache", type=Path, metavar="DIR", help="features for the next time; default: user's cache")
    cache.add_argument("--no-cache", action="store_const", const=True, help="compute all features and keep none")
    parser.set_defaults(run=run)


def add_choices(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """What a training can be told; it knows the names itself."""
    parser.add_argument("--location", metavar="HOW", help="finds the part: auto (default), none, blob, template")
    parser.add_argument("--ignore", metavar="REGIONS", help='does not count: "x,y x,y x,y; ...", shares of the part')
    parser.add_argument("--template-box", metavar="X,Y,W,H", help="template: what to look for, shares of the image")
    parser.add_argument("--template-angle-deg", type=float, metavar="DEG", help="template: largest turn of the part")
    parser.add_argument("--detector", metavar="NAME", help="spatial (default), differnet, memory")
    parser.add_argument("--backbone", type=name_or_file, metavar="NAME", help="lite0 (default), lite1, lite2, a file")
    parser.add_argument("--refine", metavar="HOW", help="how dirt is found: auto (default), irp, osr, none")
    parser.add_argument("--steps", type=int, metavar="N", help="training steps; default: the detector's own number")
    parser.add_argument(
        "--int8", action="store_const", const=True, help="also a graph with the backbone in 8 bits, for a GPU"
    )


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Those of `add_choices` that were given."""
    return {name: getattr(options, name) for name in _CHOICES if getattr(options, name) is not None}


def run(options: argparse.Namespace) -> int:
    """Teaches and prints what came out."""
    only_folder = [name for name in (*_CHOICES, *_FILES, "cache", "no_cache") if getattr(options, name) is not None]
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
    Console().print(summary_table(options.output, summary))
    return 0


def _from_folder(options: argparse.Namespace, bar: ProgressBar) -> dict[str, Any]:
    told = {
        **chosen(options),
        **{name: getattr(options, name) for name in ("known_good", "known_bad", "false_reject_budget", "seed")},
    }
    result = teach(
        options.images,
        options.output,
        **told,
        veto=options.veto,
        cache=None if options.no_cache else options.cache or default_cache(),
        shown_command=command_again(options.images, options.output, cache=options.cache, **told),
        on_progress=bar.show,
    )
    return {"engine_id": result.engine_id, **result.summary}


def default_cache() -> Path | None:
    """Where programs keep what can be computed again (XDG Base Directory).

    None where there is no such place: services have no home, or one that they may not use.
    """
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))  # only an absolute path counts
    try:
        folder = (told if told.is_absolute() else Path.home() / ".cache") / "station" / "features"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _from_line(options: argparse.Namespace, bar: ProgressBar) -> dict[str, Any]:
    request = {
        "command": "teach",
        "parts": options.parts,
        "output": str(options.output.resolve()),
        "false_reject_budget": options.false_reject_budget,
        "seed": options.seed,
    }
    ask(options.config, request)
    return follow_teaching(lambda: ask(options.config, {"command": "status"})["status"]["teaching"], bar.show)


def summary_table(output: Path, summary: dict[str, Any]) -> Table:
    """What a teaching gave, for people. `summary`: see `engines.training.teach.Summary`."""
    table = Table(show_header=False, title=escape(f"engine {output}"))

    def row(title: str, text: str) -> None:
        table.add_row(title, escape(text))

    removed = summary["removed"]
    row("id", summary["engine_id"][:12])
    row("taught", f"{summary['detector']} on {summary['images']} images in {summary['seconds']:.0f} s")
    row("part", summary["preprocessing"])
    row("removed", f"{len(removed)} of {summary['images']}" + (f": {_names(removed)}" if removed else ""))
    row("dirt", f"about {summary['dirt_share']:.1%} of the images" if summary["dirt_share"] else "the data look clean")
    row("not learned", f"{summary['masked_share']:.1%} of the places in the other images look defective")
    row("promise", summary["promise"])
    for file, parity in summary["graphs"].items():
        row(file, parity)
    row("dossier", str(output / DOSSIER_FOLDER / "dossier.html"))
    row("to use it", f"station engine import {output}; without a store: set engine.path to it")
    for warning in summary["warnings"]:
        table.add_row("warning", f"[yellow]{escape(warning)}[/]")
    return table


def _names(names: Sequence[str]) -> str:
    """A few file names, which are anything but tame, on one line."""
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"
