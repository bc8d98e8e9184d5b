"""Another product: the recipes of this station, and the change to one of them, as the shell and the PLC do it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.configuration import recipes
from station.configuration.load import ConfigurationError
from station.control import ControlError
from station.hmi.guard import field
from station.hmi.rendering import page, person_of, site_of, words_of

CHANGE_S = 180.0
"""A changeover waits for parts on their way, loads the engine and sets the cameras."""


@dataclass(frozen=True, slots=True)
class Row:
    """A recipe on disk, as it is listed."""

    name: str
    number: int | None
    description: str
    is_active: bool
    problem: str
    """What is wrong with its file; empty: nothing."""


def routes() -> list[Route]:
    """The daemon changes over, and checks the role again."""
    return [
        Route("/recipes", overview, name="recipes"),
        Route("/recipes/select", select, name="recipes-select", methods=["POST"]),
    ]


def overview(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """All recipes. Which one is active the daemon says: while it is silent, none is marked."""
    heard = site_of(request).line.now()
    active = str((heard.status or {}).get("recipe", ""))
    folder = _folder(request)
    return page(
        request,
        "recipes.html",
        status=status,
        problem=problem,
        rows=[_row(folder, name, active) for name in recipes.names(folder)],
        active=active,
        silent=heard.problem if heard.status is None else "",
        is_done=bool(active) and request.query_params.get("now") == active,
    )


def select(request: Request) -> Response:
    """Has the daemon change over; nothing is shown as done before it has said so."""
    name, words = field(request, "recipe"), words_of(request)
    if name not in recipes.names(_folder(request)):
        return overview(request, status=404, problem=words.gettext("There is no such recipe any more."))
    try:
        site_of(request).ask(person_of(request), {"command": "recipe", "recipe": name}, CHANGE_S)
    except ControlError as refusal:
        return overview(request, status=409, problem=str(refusal))
    return RedirectResponse(f"{request.app.url_path_for('recipes')}?{urlencode({'now': name})}", 303)


def _folder(request: Request) -> Path:
    return recipes.folder_of(site_of(request).station.path)


def _row(folder: Path, name: str, active: str) -> Row:
    try:
        file = recipes.read(folder, name).file
    except ConfigurationError as problem:
        return Row(name, None, "", name == active, "; ".join(problem.problems))
    return Row(name, file.number, file.description, name == active, "")
