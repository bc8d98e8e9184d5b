"""What comes after a change of the active engine: the running station takes it up, or the change is taken back."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from engines.store.store import Change, EngineStore, manifest_of
from station.commands.confirm import show_waiting
from station.commands.options import RELOAD_TIMEOUT_S, complain
from station.commands.options import show as show_done
from station.configuration.load import LoadedConfiguration
from station.control import ControlError, request

CONFIRM_TIMEOUT_S = 10.0


def add_recipe_option(parser: argparse.ArgumentParser) -> None:
    """`--recipe NAME`: whose product is meant; several recipes have a store each."""
    parser.add_argument("--recipe", metavar="NAME", help="whose engines; default: of the recipe that is selected")


def take_up(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore, change: Change) -> int:
    """Let the running station load the active engine; take the change back when it refuses."""
    socket, product, recipe = configuration.control_socket, store.path.name, configuration.settings.recipe.name
    state = _state(socket)
    of = f"{change.after} of product {product}"
    if options.no_reload or state is None:
        why = "the station was not asked (--no-reload)" if options.no_reload else "no station runs"
        said = f"{of} is active; {why}: the next start or reload takes it up"
        show_done(options, _taken_up(change, product, in_use=False, detail=why), said)
        return 0
    if state["recipe"] != recipe:  # another one is selected, or the product has moved since the station was started
        why = f'the station runs recipe "{state["recipe"]}", not "{recipe}"'
        said = f"{of} is active; {why}: taken up when it is selected: station recipe select {recipe}, or a restart"
        show_done(options, _taken_up(change, product, in_use=False, detail=why), said)
        return 0
    try:
        request(socket, {"command": "reload"}, RELOAD_TIMEOUT_S)
    except ControlError as problem:
        taken_back = store.refuse(change, why=f"the station refused: {problem}")
        if taken_back is None:
            return complain(f"the station did not take up {change.after}: {problem}; it was changed again meanwhile")
        _restore(configuration, store)
        return complain(f"the station did not take up {change.after}, {change.before or 'none'} is active: {problem}")
    assert change.after is not None
    if not _confirmed(socket, change.after):
        return complain(f"{change.after} is active, but the station uses {_loaded_engine(socket)}: station status")
    said = f"{of} is active, and the station uses it" + (f"; before: {change.before}" if change.before else "")
    show_done(options, _taken_up(change, product, in_use=True, detail=""), said)
    return 0


def ask_for_two(options: argparse.Namespace, configuration: LoadedConfiguration, asked: dict[str, Any]) -> int:
    """Has the running station keep the request until a second person confirms it; nothing else changes an engine."""
    recipe = configuration.settings.recipe.name
    try:
        if options.no_reload:
            raise ControlError("--no-reload is not allowed: the station itself changes the engine, for two people")
        state = request(configuration.control_socket, {"command": "status"})["status"]
        if state["recipe"] != recipe:
            raise ControlError(f'the station runs recipe "{state["recipe"]}", not "{recipe}": select it first')
        reply = request(configuration.control_socket, asked, RELOAD_TIMEOUT_S)
    except ControlError as problem:
        return complain(f"nothing was changed; it needs two people ([access] second_person): {problem}")
    return show_waiting(options, reply)


def _taken_up(change: Change, product: str, *, in_use: bool, detail: str) -> dict[str, Any]:
    return {"product": product, "active": change.after, "before": change.before, "in_use": in_use, "detail": detail}


def _restore(configuration: LoadedConfiguration, store: EngineStore) -> None:
    """After a time-out the station may have loaded the new engine after all: load the old one."""
    active = store.active()
    loaded = _loaded_engine(configuration.control_socket)
    if active is None or loaded is None or manifest_of(active).engine_id == loaded:
        return
    try:
        request(configuration.control_socket, {"command": "reload"}, RELOAD_TIMEOUT_S)
    except ControlError as problem:
        complain(f"the station could not go back to {active.name} either: {problem}")


def _confirmed(socket: Path, name: str) -> bool:
    """Whether the station says that it uses this version; the swap comes between two parts, so it may take a moment."""
    end = time.monotonic() + CONFIRM_TIMEOUT_S
    digits = name.partition("-")[2]
    while time.monotonic() < end:
        if (_loaded_engine(socket) or "").startswith(digits):
            return True
        time.sleep(0.05)
    return False


def _loaded_engine(socket: Path) -> str | None:
    """The id of the engine that the running station uses, empty when it has none; None when no station runs."""
    state = _state(socket)
    return None if state is None else str(state["engine_id"])


def _state(socket: Path) -> dict[str, Any] | None:
    """Of the running station; None when there is none."""
    try:
        state: dict[str, Any] = request(socket, {"command": "status"})["status"]
    except ControlError:
        return None
    return state
