"""Checking a version and comparing two, as works of the pages: they read the store and change nothing."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.hmi.engines import compared
from station.hmi.guard import field
from station.hmi.pages.maintenance.engines import may_of, store_of, tabs_of, version_of
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.work import WorkRefused

COMPARE, VERIFY = "compare", "verify"
PARTS = (50, 200, 500, 1000)


def routes() -> list[Route]:
    """Comparing lies before `/engines/{version}` in the address: no version is called `compare`."""
    return [
        Route("/compare", comparison, name="maintenance-compare"),
        Route("/compare/start", start, name="maintenance-compare-start", methods=["POST"]),
        Route("/engines/{version}/verify", verify, name="maintenance-verify", methods=["POST"]),
    ]


def comparison(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """`?first=&second=`: what changes when the second takes the place of the first."""
    store, asked = store_of(request), request.query_params
    names = [] if store is None else [row.name for row in store.rows if row.manifest is not None]
    active = store.active if store is not None else None
    first = asked.get("first") or (active.name if active is not None else "")
    second = asked.get("second") or next((name for name in names if name != first), "")
    found = None
    if first in names and second in names and first != second:
        found = compared.read_comparison(_file(request, first, second))
    return page(
        request,
        "compare.html",
        status=status,
        problem=problem,
        names=names,
        first=first,
        second=second,
        found=found,
        figures=[] if found is None else compared.table_of(found),
        most=compared.MOST_SHOWN,
        parts=PARTS,
        work=site_of(request).works.of(COMPARE),
        may=may_of(request),
        **tabs_of(request),
    )


def start(request: Request) -> Response:
    """Begins to compare two versions on recent parts."""
    site, words = site_of(request), words_of(request)
    store = store_of(request)
    first, second, parts = field(request, "first"), field(request, "second"), field(request, "parts")
    names = [] if store is None else [row.name for row in store.rows]
    if first not in names or second not in names or first == second or parts not in map(str, PARTS):
        return comparison(request, status=400, problem=words.gettext("Choose two different versions."))
    file = _file(request, first, second)
    file.unlink(missing_ok=True)
    arguments = ["engine", "compare", first, second, f"--parts={parts}", f"--output={file}", "--progress=json"]
    try:
        site.works.start(
            COMPARE,
            f"{first} – {second}",
            person_of(request).name,
            [*arguments, f"--config={site.station.path}"],
        )
    except WorkRefused as refusal:
        return comparison(request, status=409, problem=str(refusal))
    where = request.app.url_path_for("maintenance-compare")
    return RedirectResponse(f"{where}?first={first}&second={second}", 303)


def verify(request: Request) -> Response:
    """Begins to check hashes and golden images of a version."""
    site, (_, row) = site_of(request), version_of(request)
    arguments = ["engine", "verify", row.name, "--progress=json", f"--config={site.station.path}"]
    try:
        site.works.start(VERIFY, row.name, person_of(request).name, arguments)
    except WorkRefused as refusal:
        raise HTTPException(409, str(refusal)) from refusal
    return RedirectResponse(request.app.url_path_for("maintenance-engine", version=row.name), 303)


def _file(request: Request, first: str, second: str) -> Path:
    """Where the comparison of two versions lies; both are names of the store."""
    return site_of(request).own_dir / "compared" / f"{first}-{second}.json"
