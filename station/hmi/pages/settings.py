"""Settings: what would change before it is saved, saving with a reason, and every content by number, to be restored."""

from __future__ import annotations

import difflib
import time
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.control import ControlError
from station.hmi.guard import field
from station.hmi.pages.second import waits_or
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.hmi.setup.changes import Fields, WrongChange
from station.hmi.setup.meaning import rows_of
from station.hmi.setup.proposals import Wanted, wanted_of
from station.hmi.setup.versions import DIGITS, Version, version_of, versions_of
from station.terminal import one_line

SAVE_S = 75.0
"""Longer than a change of the running station takes at most."""
MOST_VERSIONS = 200
RECORDED_S = 2.0
"""What was taken up a moment ago is on record by then."""


def routes() -> list[Route]:
    """Saving asks the password once more (`rights.STEP_UP`); the daemon checks the rights again."""
    return [
        Route("/setup/settings", settings, name="setup-settings"),
        Route("/setup/settings/{checksum}", version, name="setup-version"),
        Route("/setup/difference", difference, name="setup-difference"),
        Route("/setup/save", save, name="setup-save", methods=["POST"]),
    ]


def settings(request: Request) -> Response:
    """All versions, newest first."""
    site = site_of(request)
    active = active_of(site)
    wanted, end = request.query_params.get("done"), time.monotonic() + RECORDED_S
    while True:
        found = versions_of(site, active)
        done = next((one for one in found if one.checksum == wanted), None)
        if done is not None or wanted not in _bases(active).values() or time.monotonic() > end:
            break
        time.sleep(RECORDED_S / 20)
    return page(
        request,
        "setup_settings.html",
        versions=[(one, _is_now(one, active)) for one in found[:MOST_VERSIONS]],
        clock=site.calendar.clock,
        done=done,
        digits=DIGITS,
        may_save=person_of(request).may(Right.SETUP),
    )


def version(request: Request) -> Response:
    """One of them: what differs from the files now, line by line, and the whole text."""
    site = site_of(request)
    one = version_of(site, request.path_params["checksum"])
    if one is None:
        raise HTTPException(404, "no settings on record have this checksum")
    active = active_of(site)
    now = active.raw if one.kind == "configuration" else b"" if active.recipe is None else active.recipe.raw
    lines = difflib.unified_diff(
        one.content.splitlines(), now.decode("utf-8", "replace").splitlines(), str(one.number), "=", lineterm="", n=2
    )
    return page(
        request,
        "setup_version.html",
        version=one,
        when=site.calendar.clock(one.wall_time),
        is_now=_is_now(one, active),
        lines=list(lines)[2:],
        may_save=person_of(request).may(Right.SETUP),
    )


def difference(request: Request) -> Response:
    """What the fields of the address would change; nothing is changed here."""
    return _difference(request, request.query_params)


def save(request: Request) -> Response:
    """Has the daemon take it up and write it. What is shown as saved, it has confirmed."""
    site, words, form = site_of(request), words_of(request), request.state.form
    active = active_of(site)
    try:
        wanted = wanted_of(site, active, form)
    except (WrongChange, ConfigurationError) as problem:
        return _difference(request, form, status=400, problem=one_line(problem))
    based_on = {kind: field(request, kind) for kind in ("configuration", "recipe")}
    if based_on != _bases(active):
        return _difference(request, form, status=409, problem=_who_was_faster(request, active))
    why = field(request, "why").strip()
    message = {
        "command": "settings",
        "kind": wanted.kind,
        "text": wanted.proposal.text,
        "based_on": based_on,
        "why": why,
    }
    try:
        reply = site.ask(person_of(request), message, SAVE_S)
    except (ControlError, ValueError) as problem:
        said = words.gettext("Not saved: %(why)s") % {"why": one_line(problem)}
        return _difference(request, form, status=409, problem=said)
    if "waiting" in reply:
        return waits_or(request, reply, "")
    checksum = reply["checksum"] if wanted.kind == "configuration" else reply["recipe_checksum"]
    return RedirectResponse(f"{request.app.url_path_for('setup-settings')}?{urlencode({'done': checksum})}", 303)


def _difference(request: Request, fields: Fields, *, status: int = 200, problem: str = "") -> Response:
    site, words = site_of(request), words_of(request)
    active = active_of(site)
    wanted: Wanted | None = None
    try:
        wanted = wanted_of(site, active, fields)
    except (WrongChange, ConfigurationError) as wrong:
        status, problem = max(status, 400), problem or one_line(wrong)
    heard = site.line.now().status
    taken_up = heard is None or (heard["config_checksum"], heard["recipe_checksum"]) == tuple(_bases(active).values())
    given = [(name, str(value)) for name, value in fields.multi_items()]
    address = urlencode(wanted.fields if wanted else [each for each in given if each[0] not in _OF_SAVING])
    return page(
        request,
        "setup_difference.html",
        status=status,
        problem=problem,
        wanted=wanted,
        rows=[] if wanted is None else rows_of(wanted.proposal.changes, words),
        lost=[] if wanted is None else wanted.proposal.comments_lost,
        bases=_bases(active),
        taken_up=taken_up,
        runs=heard is not None,
        address=f"{request.app.url_path_for('setup-difference')}?{address}",
        query=address,
        why=dict(given).get("why", ""),
        back=_back(request, dict(given).get("from", ""), address),
        may_save=person_of(request).may(Right.SETUP),
    )


_OF_SAVING = ("csrf", "proof", "why", "configuration", "recipe")
_PAGES = {"limits": "setup-limits", "zones": "setup-zones", "cameras": "setup"}


def _back(request: Request, page_name: str, address: str) -> str:
    route = _PAGES.get(page_name, "")
    known = route in request.app.state.rights
    return f"{request.app.url_path_for(route)}?{address}" if known else request.app.url_path_for("setup-settings")


def _bases(active: LoadedConfiguration) -> dict[str, str]:
    return {"configuration": active.checksum, "recipe": active.recipe_checksum}


def _is_now(one: Version, active: LoadedConfiguration) -> bool:
    return one.checksum in (active.checksum, active.recipe_checksum)


def _who_was_faster(request: Request, active: LoadedConfiguration) -> str:
    words = words_of(request)
    for one in versions_of(site_of(request), active):
        if _is_now(one, active) and one.who:
            text = words.gettext("Nothing was saved: %(who)s has changed the settings meanwhile: %(what)s")
            return text % {"who": one.who, "what": one.why}
    return words.gettext("Nothing was saved: somebody has changed the settings meanwhile. Look at the difference anew.")
