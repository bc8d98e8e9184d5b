"""What if: stored parts decided again under other limits, by a process of its own, before anything is saved."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.configuration.editing.sets import as_sets
from station.configuration.load import NOT_THERE, ConfigurationError
from station.hmi.guard import field
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.review.desk import part_on_record
from station.hmi.setup.active import active_of
from station.hmi.setup.changes import Fields, WrongChange
from station.hmi.setup.meaning import rows_of
from station.hmi.setup.proposals import Wanted, wanted_of
from station.hmi.work import Work, WorkRefused
from station.reports.drawing import jpeg
from station.terminal import one_line

KIND = "what-if"
NEWEST = (2_000, 10_000, 50_000)
DEFAULT = 10_000
THUMBNAIL_PX = 220
_KEPT = "private, max-age=900"
_OF_LIMITS = ("decision", "quality", "views")


def routes() -> list[Route]:
    """Nothing is changed here; the work gives way to everything else."""
    return [
        Route("/setup/what-if", what_if, name="setup-what-if"),
        Route("/setup/what-if/start", start, name="setup-what-if-start", methods=["POST"]),
        Route("/setup/thumbnail/{session}/{acquisition:int}/{camera}.jpg", thumbnail, name="setup-thumbnail"),
    ]


def what_if(request: Request) -> Response:
    """The difference that the address names, and what it would have changed, as far as that is known."""
    return _page(request, request.query_params)


def start(request: Request) -> Response:
    """Starts the work, and leads to the page on which it is seen."""
    site, form = site_of(request), request.state.form
    active = active_of(site)
    try:
        wanted = wanted_of(site, active, form)
        sets = sets_of(wanted)
    except (WrongChange, ConfigurationError) as problem:
        return _page(request, form, status=400, problem=one_line(problem))
    asked = field(request, "newest")
    newest = int(asked) if asked.isdecimal() and int(asked) in NEWEST else DEFAULT
    arguments = ["what-if", "--config", str(active.path), "--newest", str(newest), "--progress", "json"]
    if active.recipe is not None:
        arguments += ["--recipe", active.recipe.name]
    words = words_of(request)
    what = words.gettext("what if, the newest %(count)s parts") % {"count": newest}
    try:
        site.works.start(KIND, what, person_of(request).name, [*arguments, *(f"--set={text}" for text in sets)])
    except WorkRefused as problem:
        return _page(request, form, status=409, problem=str(problem))
    return RedirectResponse(f"{request.app.url_path_for('setup-what-if')}?{urlencode(wanted.fields)}", 303)


def thumbnail(request: Request) -> Response:
    """A small picture of a part, by part and view, never by a path."""
    site, asked = site_of(request), request.path_params
    part = None
    if asked["acquisition"] < 2**63:
        part = part_on_record(site, asked["session"], asked["acquisition"])
    seen = None if part is None else site.eyes.look(part, most_px=THUMBNAIL_PX, camera=asked["camera"])
    if seen is None or not seen.views or seen.views[0].image is None:
        raise HTTPException(404, "there is no such picture of this part")
    return Response(jpeg(seen.views[0].image), media_type="image/jpeg", headers={"Cache-Control": _KEPT})


def sets_of(wanted: Wanted) -> list[str]:
    """As the command takes them. Raises WrongChange: nothing of it is a limit."""
    changes = dict(wanted.changes)
    if wanted.restores is not None:
        found = wanted.proposal.changes
        changes = {change.path: None if change.new is NOT_THERE else change.new for change in found}
    limits = {path: value for path, value in changes.items() if path[0] in _OF_LIMITS}
    if not limits:
        raise WrongChange("no limit and no zone differs: there is nothing to try")
    return [text for _, text in as_sets(limits)]


def _page(request: Request, fields: Fields, *, status: int = 200, problem: str = "") -> Response:
    site, words = site_of(request), words_of(request)
    active = active_of(site)
    wanted: Wanted | None = None
    sets: list[str] = []
    try:
        wanted = wanted_of(site, active, fields)
        sets = sets_of(wanted)
    except (WrongChange, ConfigurationError) as wrong:
        status, problem = max(status, 400), problem or one_line(wrong)
    work = site.works.of(KIND)
    result = _result(work, sets, [active.checksum, active.recipe_checksum])
    query = urlencode(wanted.fields) if wanted else ""
    from_page = dict(fields.multi_items()).get("from", "")
    return page(
        request,
        "setup_what_if.html",
        status=status,
        problem=problem,
        wanted=wanted if sets else None,
        rows=[] if wanted is None else rows_of(wanted.proposal.changes, words),
        work=site.works.last if site.works.last is not None and site.works.last.is_running else work,
        result=result,
        notes=[] if result is None else notes_of(result, words_of(request)),
        newest=NEWEST,
        default=DEFAULT,
        query=query,
        here_again=f"{request.app.url_path_for('setup-what-if')}?{query}",
        back=f"{request.app.url_path_for('setup-zones' if from_page == 'zones' else 'setup-limits')}?{query}",
    )


def _result(work: Work | None, sets: list[str], based_on: list[str]) -> dict[str, Any] | None:
    """What the last work found, if it was asked for the same and on the settings of now."""
    if work is None or work.phase != "done" or not sets:
        return None
    result = dict(work.result)
    same = sorted(result.get("sets", ())) == sorted(sets) and result.get("based_on") == based_on
    return result if same else None


def notes_of(result: dict[str, Any], words: Any) -> list[str]:
    """What has to be known of the figures."""
    gettext = words.gettext
    texts = {
        "other engine": gettext("%(count)s parts were judged by another engine and are left out."),
        "measured otherwise": gettext("%(count)s parts were measured under other settings and are left out."),
        "not inspected": gettext("%(count)s parts were not inspected and stay what they were."),
        "without image": gettext("%(count)s parts have no image any more and are left out."),
        "longest not known": gettext(
            "%(count)s parts have more regions than are listed: lengths of the others are not known."
        ),
        "sampled": gettext(
            "Of parts that passed only a sample keeps its image: %(count)s of them stand for the others, "
            "so these figures are estimates."
        ),
    }
    return [
        texts[note] % {"count": count} for note, count in result.get("notes", {}).items() if count and note in texts
    ]
