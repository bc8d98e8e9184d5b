"""Set-up, first page: what each camera sees now, with what is needed to set light and focus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from station.configuration.load import LoadedConfiguration
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.hmi.setup.advice import Said, of_focus, of_light, of_taught
from station.hmi.setup.changes import Changes, WrongChange, changes_in
from station.hmi.setup.engine_limits import taught_pictures
from station.hmi.setup.pictures import Picture
from station.hmi.words import Words
from station.live.part_message import framed
from station.live.reading import NoLiveMemory

HISTOGRAM = 64
"""Steps of the histogram, and its height as drawn."""


def routes() -> list[Route]:
    """Nothing is changed here."""
    return [
        Route("/setup", cameras, name="setup"),
        Route("/setup/picture", picture, name="setup-picture"),
    ]


def camera_of(request: Request, active: LoadedConfiguration) -> str:
    """The camera that the address names; the first one where it names none. Raises HTTPException 404."""
    names = list(active.settings.cameras)
    camera = request.query_params.get("camera") or names[0]
    if camera not in names:
        raise HTTPException(404, f'there is no camera "{camera:.40}"; there are: {", ".join(names)}')
    return camera


def cameras(request: Request) -> Response:
    """One camera: its picture, histogram, saturated share, exposure, and how sharp it is."""
    words, active = words_of(request), active_of(site_of(request))
    camera = camera_of(request, active)
    seen, problem = _look(request, camera)
    shown = None if seen is None else in_words(seen, active, camera, words)
    return page(
        request,
        "setup.html",
        cameras=list(active.settings.cameras),
        camera=camera,
        shown=shown,
        shape=Markup(shape_of((seen.figures or {}).get("histogram", ())) if seen is not None else ""),
        problem=problem,
        settings=active.settings.cameras[camera],
        quality=active.settings.quality_on(camera),
        changes=_asked(request, active),
        may_try=person_of(request).may(Right.SETUP_TRY),
        words=json.dumps(
            {
                "none": words.gettext("no part yet: nothing to see"),
                "silent": words.gettext("the pages do not answer"),
                "ago": words.gettext("s ago"),
                "part": words.gettext("part"),
                "test": words.gettext("test picture"),
                "taken": words.gettext("test picture taken after, ms:"),
            }
        ),
    )


def _asked(request: Request, active: LoadedConfiguration) -> Changes:
    """What the address would change, for the fields of the page."""
    try:
        return changes_in(request.query_params, active)
    except WrongChange:
        return {}


def picture(request: Request) -> Response:
    """`?camera=&have=KEY`: length of the JSON, JSON, and the JPEG when it is another one than the page has."""
    words, active = words_of(request), active_of(site_of(request))
    camera = camera_of(request, active)
    seen, problem = _look(request, camera)
    if seen is None:
        return _message({"key": "", "problem": problem}, b"")
    is_new = request.query_params.get("have") != seen.key
    head = {**in_words(seen, active, camera, words), "problem": ""}
    if not is_new:
        head = {"key": seen.key, "age_s": round(seen.age_s, 1), "problem": ""}
    return _message(head, seen.jpeg if is_new else b"")


def in_words(seen: Picture, active: LoadedConfiguration, camera: str, words: Words) -> dict[str, Any]:
    """What the page says of a picture."""
    figures = seen.figures
    said: list[Said] = []
    if figures is not None:
        settings = active.settings
        said = [
            of_light(figures, settings.cameras[camera].exposure_time_us, words),
            of_focus(figures, settings.quality_on(camera), words),
        ]
        taught = of_taught(figures, taught_pictures(active, camera), words)
        said += [] if taught is None else [taught]
    return {
        "key": seen.key,
        "age_s": round(seen.age_s, 1),
        "part": seen.part["part_id"],
        "is_test": seen.is_test,
        "acquisition": seen.part["acquisition_id"],
        "session": seen.part["session"],
        "why": seen.view["why_no_picture"],
        "width": seen.view["width"],
        "height": seen.view["height"],
        "sharpness": None if figures is None else figures["sharpness"],
        "mean": None if figures is None else figures["mean_grey"],
        "saturated": None if figures is None else figures["saturated_share"],
        "shape": "" if figures is None else shape_of(figures["histogram"]),
        "said": [{"acts": one.acts, "text": one.text} for one in said],
    }


def shape_of(histogram: Sequence[int]) -> str:
    """The outline of a histogram as points of a polygon: every step as wide as one, the highest one `HISTOGRAM` high.

    The height is the square root of the share, so that few pixels can be seen beside many.
    """
    highest = max(histogram, default=0) ** 0.5 or 1.0
    corners = [(0.0, float(HISTOGRAM))]
    for step, share in enumerate(histogram):
        top = HISTOGRAM * (1 - share**0.5 / highest)
        corners += [(step, top), (step + 1, top)]
    corners.append((float(len(histogram)), float(HISTOGRAM)))
    return " ".join(f"{x:g},{y:.1f}" for x, y in corners)


def _look(request: Request, camera: str) -> tuple[Picture | None, str]:
    words = words_of(request)
    try:
        seen = site_of(request).pictures.of(camera)
    except NoLiveMemory as problem:
        return None, words.gettext(str(problem))
    return seen, "" if seen is not None else words.gettext("no part yet: nothing to see")


def _message(head: dict[str, Any], jpeg: bytes) -> Response:
    return Response(framed(head, [jpeg]), media_type="application/octet-stream")
