"""The guide through a challenge test: which master part to put on now, what the station said of it, how it ended."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.control import ControlError
from station.hmi import queries
from station.hmi.guard import field
from station.hmi.pages.maintenance.engines import tabs_of
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.records.challenge_runs import Run, RunVerdict
from station.records.schema import RecordingError

HISTORY = 10
LONGEST_WHY = 500


def routes() -> list[Route]:
    """The daemon does what is asked, and checks the role again."""
    return [
        Route("/challenge", guide, name="maintenance-challenge"),
        Route("/challenge/start", start, name="maintenance-challenge-start", methods=["POST"]),
        Route("/challenge/confirm", confirm, name="maintenance-challenge-confirm", methods=["POST"]),
        Route("/challenge/reset", reset, name="maintenance-challenge-reset", methods=["POST"]),
    ]


def guide(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """The step that is due now leads; the master parts in order below it."""
    site, person = site_of(request), person_of(request)
    heard = site.line.now()
    try:
        runs = queries.challenge_runs(site, HISTORY)
    except (RecordingError, OSError):
        runs = []
    state = (heard.status or {}).get("challenge")
    current = _current(runs, state)
    return page(
        request,
        "challenge.html",
        status=status,
        problem=problem,
        state=state,
        heard_problem=heard.problem,
        parts=active_of(site).settings.challenge.parts,
        run=current,
        runs=[(run, recipe) for run, recipe in runs if run.verdict is not RunVerdict.RUNNING],
        may_operate=person.may(Right.OPERATE),
        may_reset=person.may(Right.MAINTAIN),
        **tabs_of(request),
    )


def start(request: Request) -> Response:
    """Begins a test."""
    return _asked(request, {"action": "start"})


def confirm(request: Request) -> Response:
    """The master part that is asked for lies next."""
    return _asked(request, {"action": "confirm"})


def reset(request: Request) -> Response:
    """Ends a failed test, or one that is under way, with the reason."""
    why = field(request, "why").strip()
    if not why or len(why) > LONGEST_WHY:
        return guide(request, status=400, problem=words_of(request).gettext("Say what was found and done."))
    return _asked(request, {"action": "reset", "who": person_of(request).name, "why": why})


def _asked(request: Request, message: dict[str, str]) -> Response:
    try:
        site_of(request).ask(person_of(request), {"command": "challenge", **message})
    except ControlError as refusal:
        return guide(request, status=409, problem=str(refusal))
    return RedirectResponse(request.app.url_path_for("maintenance-challenge"), 303)


def _current(runs: list[tuple[Run, str]], state: object) -> Run | None:
    """The run that the station speaks of: its number stands in its state."""
    number = state.get("last_test") if isinstance(state, dict) else None
    return next((run for run, _ in runs if run.number == number), None)
