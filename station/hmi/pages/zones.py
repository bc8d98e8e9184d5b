"""Zones drawn on the picture of a recent part. Nothing is saved here: the difference is next, as for limits."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from station.hmi.pages.setup import camera_of
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.hmi.setup.changes import LIMITS, ZONES, WrongChange, changes_in, zones_on, zones_path
from station.hmi.setup.meaning import names
from station.hmi.setup.recent import recent_with_picture

SPARE = 1
"""Empty zones at the end of the list, for a browser without a script."""


def routes() -> list[Route]:
    """Whoever may look at set-up sees them; who may set up can go on to the difference."""
    return [Route("/setup/zones", zones, name="setup-zones")]


def zones(request: Request) -> Response:
    """`?camera=NAME&part=SESSION/NUMBER`: the zones of a camera over what it saw of a part."""
    site, words, asked = site_of(request), words_of(request), request.query_params
    active = active_of(site)
    camera = camera_of(request, active)
    path = (*zones_path(active, camera), ZONES)
    problem, drawn = "", zones_on(active, camera)
    try:
        drawn = changes_in(asked, active).get(path, drawn) or []
    except WrongChange as wrong:
        problem = str(wrong)
    parts = recent_with_picture(site, camera)
    chosen = next((part for part in parts if f"{part.session}/{part.acquisition_id}" == asked.get("part")), None)
    return page(
        request,
        "setup_zones.html",
        status=400 if problem else 200,
        problem=problem,
        cameras=list(active.settings.cameras),
        camera=camera,
        zones=[_shown(zone) for zone in drawn],
        spare=SPARE,
        zones_of=".".join(path[:-1]),
        limits=[(key, names(words)[key]) for key in LIMITS],
        parts=parts,
        part=chosen or (parts[0] if parts else None),
        version=f"{active.checksum[:8]}{active.recipe_checksum[:8]}",
        may_try=person_of(request).may(Right.SETUP_TRY),
    )


def _shown(zone: dict[str, Any]) -> dict[str, Any]:
    """As the fields of the page have it."""
    corners = " ".join(f"{x:.6g},{y:.6g}" for x, y in zone["polygon"])
    limits = {key: f"{zone[key]:.10g}" for key in LIMITS if zone.get(key) is not None}
    return {"name": zone["name"], "polygon": corners, "ignore": bool(zone.get("ignore")), "limits": limits}
