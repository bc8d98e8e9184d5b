"""Reports: those that are stored, one of them in the look of the pages, its files; a new one is a work of its own."""

from __future__ import annotations

import importlib.util
import time
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from station import said as sentences
from station.hmi import queries
from station.hmi.guard import field, inside
from station.hmi.rendering import language_for, language_of, page, person_of, site_of, state_of, words_of
from station.hmi.work import WorkRefused
from station.reports.production.charts import defect_map, pareto, trend
from station.reports.production.figures import LISTED
from station.reports.production.page import span
from station.reports.production.stored import DATA, FOLDER, Entry, StoredReportError, read_report, stored
from station.reports.shifts import TimeError

KIND = "report"
SHOWN = 100
FILES = {
    ".pdf": ("PDF", "application/pdf"),
    ".html": ("HTML", "text/html; charset=utf-8"),
    ".csv": ("CSV", "text/csv; charset=utf-8"),
    ".parquet": ("Parquet", "application/vnd.apache.parquet"),
    DATA: ("JSON", "application/json"),
}
"""By the end of the name: what people call it, and what a browser is to take it for."""
NEEDS = {".pdf": ("typst", "Typst"), ".parquet": ("pyarrow", "pyarrow")}
"""Packages without which a kind of file cannot be written."""
LONGEST_NAME = 200


def routes() -> list[Route]:
    """Making one changes nothing of the station."""
    return [
        Route("/reports", overview, name="reports"),
        Route("/reports/make", make, name="reports-make", methods=["POST"]),
        Route("/reports/{name}", report, name="reports-one"),
        Route("/reports/{name}/{kind}", file, name="reports-file"),
        Route("/work.json", work_state, name="work-state"),
        Route("/work/stop", work_stop, name="work-stop", methods=["POST"]),
    ]


def overview(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """The newest reports, the form for a new one, and how the one under way stands."""
    site = site_of(request)
    entries = stored(_folder(request), list(FILES))
    rows = [(entry, *_about(request, entry)) for entry in entries[:SHOWN]]
    return page(
        request,
        "reports.html",
        status=status,
        problem=problem,
        rows=rows,
        more=max(0, len(entries) - SHOWN),
        files=FILES,
        missing=_missing(),
        shifts=["last", "now", *site.calendar.names],
        recipes=queries.recipes_of(site) if site.records.exists() else [],
        batches=queries.names_of_batches(site) if site.records.exists() else [],
        work=site.works.last,
        kind=KIND,
        asked=getattr(request.state, "form", {}),
    )


def make(request: Request) -> Response:
    """Starts the work. What the command would refuse is refused here, with the form as it was filled in."""
    site, words = site_of(request), words_of(request)
    try:
        chosen, what = _period(request)
    except (TimeError, ValueError) as wrong:
        return overview(request, status=400, problem=str(wrong))
    recipe = field(request, "recipe").strip()
    missing = _missing()
    ends = [DATA, ".html", *(end for end in (".csv", ".pdf", ".parquet") if field(request, end[1:]))]
    refused = [missing[end] for end in ends if end in missing]
    if refused:
        problem = words.gettext("%(name)s is not installed: choose without it.") % {"name": ", ".join(refused)}
        return overview(request, status=400, problem=problem)
    if len(recipe) > LONGEST_NAME or not recipe.isprintable():
        return overview(request, status=400, problem=words.gettext("There is no recipe of such a name."))
    arguments = ["report", f"--config={site.station.path}", "--progress=json", f"--by={person_of(request).name}"]
    arguments += [
        f"--language={language_of(request)}",
        *chosen,
        *([f"--recipe={recipe}"] if recipe else []),
        "--formats",
        *(end[1:] for end in ends),
    ]
    try:
        whole = sentences.WITH_RECIPE(text=what, name=recipe) if recipe else what
        site.works.start(KIND, whole, person_of(request).name, arguments)
    except WorkRefused as refusal:
        return overview(request, status=409, problem=str(refusal))
    return RedirectResponse(request.app.url_path_for("reports"), 303)


def report(request: Request) -> Response:
    """One report in the look of the pages, drawn from its data."""
    entry = _entry(request)
    if DATA not in entry.ends:
        raise HTTPException(404, "this report has no data to show, it is of an older version; take one of its files")
    found = read_report(_folder(request) / f"{entry.stem}{DATA}")
    calendar, language = site_of(request).calendar, language_for(request)
    say = language.sentence
    return page(
        request,
        "report.html",
        report=found,
        entry=entry,
        files=FILES,
        span=span(found, calendar),
        listed=LISTED,
        said=language.figure,
        pareto=Markup(pareto(found.pareto, say).svg()) if found.pareto else "",  # ElementTree has escaped their texts
        trend=Markup(trend(found.trend, calendar, say).svg()),
        maps=[(camera, Markup(defect_map(centres, say).svg())) for camera, centres in found.centres.items() if centres],
    )


def file(request: Request) -> Response:
    """A file of a report, to be kept; a page of HTML is never opened as one of ours."""
    entry, end = _entry(request), f".{request.path_params['kind']}"
    if end not in entry.ends:
        raise HTTPException(404, "there is no such file of this report")
    name = f"{entry.stem}{end}"
    return FileResponse(_folder(request) / name, media_type=FILES[end][1], filename=name)


def work_state(request: Request) -> Response:
    """How the last work stands, for a page that is open."""
    return JSONResponse(state_of(request, site_of(request).works.last))


def work_stop(request: Request) -> Response:
    """Gives up the work under way."""
    site_of(request).works.stop(
        words_of(request).gettext("given up by %(name)s") % {"name": person_of(request).name}
    )  # fmt: skip
    return RedirectResponse(inside(field(request, "back")), 303)


def _folder(request: Request) -> Path:
    return site_of(request).station.work_dir / FOLDER


def _entry(request: Request) -> Entry:
    """The report of the address, found among those that are there. Raises HTTPException 404."""
    for entry in stored(_folder(request), list(FILES)):
        if entry.stem == request.path_params["name"]:
            return entry
    raise HTTPException(404, "there is no such report; it may have been removed")


def _about(request: Request, entry: Entry) -> tuple[str, str, str, float]:
    """(name, kind, who has made it, when) of a stored report."""
    if DATA not in entry.ends:
        return entry.stem, "", "", entry.written_at
    return _about_data(_folder(request) / f"{entry.stem}{DATA}", entry.written_at)


@lru_cache(maxsize=2 * SHOWN)
def _about_data(data: Path, written_at: float) -> tuple[str, str, str, float]:
    """Of the file with the data, as it was at `written_at`."""
    try:
        found = read_report(data)
    except StoredReportError as problem:
        return str(problem), "", "", written_at
    return found.period.name, found.kind, found.made_by, found.made_at


def _missing() -> dict[str, str]:
    """Kinds of files that cannot be written here, by the end of their names: the package that is missing."""
    return {end: name for end, (package, name) in NEEDS.items() if importlib.util.find_spec(package) is None}


def _period(request: Request) -> tuple[list[str], str]:
    """(arguments of the command, in words). Raises TimeError, ValueError."""
    calendar, now = site_of(request).calendar, time.time()
    if field(request, "of") == "batch":
        name = field(request, "batch").strip()
        if queries.batch_of(site_of(request), name) is None:
            raise ValueError(words_of(request).gettext("There is no batch of this name."))
        return [f"--batch={name}"], sentences.OF_BATCH(name=name)
    if field(request, "of") != "period":
        if field(request, "since").strip() or field(request, "until").strip():
            raise ValueError(words_of(request).gettext("A shift, or a period? From and Until belong to a period."))
        name = field(request, "shift").strip()
        shift = calendar.find(name, now)
        return [f"--shift={name}"], sentences.OF_SHIFT(name=shift)
    since, until = field(request, "since").strip(), field(request, "until").strip()
    if not since:
        raise ValueError(words_of(request).gettext("When does the period begin?"))
    begin = calendar.moment(since, now)
    end = calendar.moment(until, now, is_end=True) if until else now
    if begin >= min(end, now):
        raise ValueError(
            words_of(request).gettext("There is nothing in this period: its begin must be before its end.")
        )
    return [f"--since={since}", *([f"--until={until}"] if until else [])], f"{since} – {until or 'now'}"
