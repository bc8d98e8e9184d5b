"""`station recipe`: which recipes there are, whether they can be used, and which one is active."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.table import Table

from engines.errors import EngineError
from station.commands.options import (
    EXIT_BAD_INPUT,
    RELOAD_TIMEOUT_S,
    add_config_option,
    add_json_option,
    print_json,
    reporting,
)
from station.commands.options import show as show_done
from station.configuration import load as config
from station.configuration import recipes
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.configuration.selection import SelectedRecipe, SelectionError, read_selection, write_selection
from station.control import ControlError, StationNotRunning, request
from station.daemon.change_record import ChangeRefused, check_features
from station.jobs.engine_questions import open_question
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import load_inspector
from station.records.schema import RecordingError
from station.terminal import coloured, console, say

_BAD_INPUT = (ConfigurationError, ControlError, EngineError, RecordingError, LimitsError, SelectionError)
SHOWN = ("recipe", "engine", "decision", "quality", "cameras", "views", "reject", "challenge")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `recipe` with its actions."""
    parser = commands.add_parser("recipe", help="recipes: list, show, check, select")
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")

    def action(into: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
        added = into.add_parser(name, help=text)
        add_config_option(added)
        added.set_defaults(run=reporting(run, *_BAD_INPUT))
        return added

    listing = action(actions, "list", list_recipes, "all recipes, and which one is active")
    add_json_option(listing, "a list of name, number, description, checksum, problem, in_force")
    showing = action(actions, "show", show, "one recipe, laid over station.toml")
    showing.add_argument("name", metavar="NAME")
    add_json_option(showing, f"checksum, {', '.join(SHOWN)}; also without --json")
    checking = action(actions, "check", check, "whether recipes and their engines can be used")
    checking.add_argument("names", nargs="*", metavar="NAME", help="none: all of them")
    add_json_option(checking, "a list of name, problems")
    selecting = action(actions, "select", select, "change to another recipe")
    selecting.add_argument("recipe", metavar="NAME", help="name or number")
    add_json_option(selecting, "recipe, active")
    selecting.add_argument("--without-engine", action="store_true", help="also a recipe that is still to be taught")


def list_recipes(options: argparse.Namespace) -> int:
    """All recipes; what is wrong with those that cannot be read."""
    station = config.load_station(options.config)
    in_force = _in_force(station)
    rows = [_row(station, name, in_force) for name in recipes.names(recipes.folder_of(station.path))]
    if options.json:
        print_json(rows)
        return 0
    if not rows:
        say(f"there are no recipes in {recipes.folder_of(station.path)}: {station.path} is the only one")
        return 0
    table = Table("number", "name", "", "description", "checksum", title=f"recipes of {station.path}")
    for row in rows:
        mark = coloured("active", "green") if row["in_force"] else ""
        found = row["description"] if not row["problem"] else coloured(row["problem"], "red")
        table.add_row(str(row["number"] or ""), row["name"], mark, found, row["checksum"][:8])
    console().print(table)
    return 0


def show(options: argparse.Namespace) -> int:
    """Everything a recipe decides, with what it leaves to station.toml, as JSON."""
    loaded = config.load(options.config, options.name)
    settings = loaded.settings.model_dump(mode="json", include=set(SHOWN), exclude_none=True)
    print_json({"checksum": loaded.recipe_checksum, **settings})
    return 0


def check(options: argparse.Namespace) -> int:
    """Loads every recipe with its engine; exit code 2 when any is wrong."""
    station = config.load_station(options.config)
    names = options.names or recipes.names(recipes.folder_of(station.path))
    if not names:
        raise ConfigurationError(station.path, [f"there are no recipes: {recipes.folder_of(station.path)}"])
    found = {name: list(_problems(station, name)) for name in names}
    if options.json:
        print_json([{"name": name, "problems": problems} for name, problems in found.items()])
    else:
        table = Table("recipe", "", "found", title=f"station recipe check {station.path}")
        for name, problems in found.items():
            table.add_row(name, coloured("wrong", "red") if problems else coloured("ok", "green"), "\n".join(problems))
        console().print(table)
    return EXIT_BAD_INPUT if any(found.values()) else 0


def select(options: argparse.Namespace) -> int:
    """Has the running station change over; without one, the next start has it."""
    station = config.load_station(options.config)
    wanted: str | int = int(options.recipe) if options.recipe.isdecimal() else options.recipe
    try:
        asked = {"command": "recipe", "recipe": wanted, "without_engine": options.without_engine}
        answer = request(station.control_socket, asked, RELOAD_TIMEOUT_S)
    except StationNotRunning:
        chosen = config.with_recipe(station, wanted).settings.recipe.name
        station.work_dir.mkdir(parents=True, exist_ok=True)
        write_selection(
            station.work_dir, SelectedRecipe(recipe=chosen, who="station recipe select", wall_time=time.time())
        )
        said = f"{chosen} is selected for the next start: no station runs"
        show_done(options, {"recipe": chosen, "active": False}, said)
        return 0
    show_done(options, {"recipe": answer["recipe"], "active": True}, f"{answer['recipe']} is active")
    return 0


def _row(station: LoadedConfiguration, name: str, in_force: str) -> dict[str, Any]:
    row = {"name": name, "number": None, "description": "", "checksum": "", "problem": "", "in_force": name == in_force}
    try:
        recipe = recipes.read(recipes.folder_of(station.path), name)
    except ConfigurationError as problem:
        return {**row, "problem": "; ".join(problem.problems)}
    return {**row, "number": recipe.file.number, "description": recipe.file.description, "checksum": recipe.checksum}


def _in_force(station: LoadedConfiguration) -> str:
    """Of the running station, else the one that it would start with."""
    try:
        return str(request(station.control_socket, {"command": "status"})["status"]["recipe"])
    except ControlError:
        selection = read_selection(station.work_dir)
        return selection.recipe if selection else station.settings.recipe.active or ""


def _problems(station: LoadedConfiguration, name: str) -> Iterator[str]:
    """Everything that would have the station refuse this recipe, but for the camera itself."""
    try:
        loaded = config.with_recipe(station, name)
        folder = recipes.folder_of(station.path)
        recipes.with_number(folder, loaded.settings.recipe.number)
        inspector = load_inspector(loaded.engine_path, loaded.settings, {}, trust=loaded.trust)
    except (ConfigurationError, EngineError, LimitsError) as problem:
        yield str(problem)
        return
    if inspector is None:
        yield f"engine {loaded.engine_path} is not there yet: nothing would pass"
    else:
        inspector.scorer.close()
        if asked := open_question(loaded):
            yield asked
    for other in recipes.names(folder):
        try:
            check_features(loaded, config.with_recipe(station, other))
        except ConfigurationError:
            continue  # reported where that recipe is looked at
        except ChangeRefused as problem:
            yield f"with {other}: {problem}"
