"""Review: one part after the other, decided by key or by hand, taken back, put off; nothing is lost on the way.

Every form works without a script. The script sends the same fields and asks for JSON, so that a decision that got no
answer is kept in the browser and sent again, under the same request name.
"""

from __future__ import annotations

import json
import time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from station.hmi.guard import field
from station.hmi.rendering import page, person_of, say_of, site_of, words_of
from station.hmi.review.desk import desk_of, labels_of, opinion_of, part_on_record, reviewer_of
from station.hmi.rights import Right
from station.labels.queue import postpone, renew
from station.labels.reviewing import CHOICES, ReviewConflict, review, undo
from station.labels.schema import LabelError
from station.reports.drawing import jpeg

_KEPT = "private, max-age=900"
"""A picture of a part on record never changes."""


def routes() -> list[Route]:
    """The queue, its pictures, and what a person does with a part."""
    return [
        Route("/review", queue, name="review"),
        Route("/review/picture.jpg", picture, name="review-picture"),
        Route("/review/{item:int}/decide", decide, name="review-decide", methods=["POST"]),
        Route("/review/{item:int}/undo", take_back, name="review-undo", methods=["POST"]),
        Route("/review/{item:int}/later", later, name="review-later", methods=["POST"]),
        Route("/review/{item:int}/keep", keep, name="review-keep", methods=["POST"]),
    ]


def queue(request: Request) -> Response:
    """The part in hand."""
    wanted = request.query_params.get("item", "")
    number = int(wanted) if wanted.isdecimal() and len(wanted) < 16 else None
    return _desk(request, number)


def picture(request: Request) -> Response:
    """`?session=&part=&view=&layer=`: `plain` as the camera saw it, `heat` under its heat map, else of `Compared`."""
    asked = request.query_params
    layer, number, view = asked.get("layer", ""), asked.get("part", ""), asked.get("view", "")
    if not all(text.isdecimal() and len(text) < 16 for text in (number, view)):
        raise HTTPException(404)
    part = part_on_record(site_of(request), asked.get("session", ""), int(number))
    if part is None or int(view) >= len(part.views):
        raise HTTPException(404)
    if layer in ("plain", "heat"):
        seen = site_of(request).looked_at.of(part)[int(view)]
        data = seen.image if layer == "plain" else seen.heated
    else:
        pixels = site_of(request).nearest.compare(part, part.views[int(view)].camera).picture(layer)
        data = None if pixels is None else jpeg(pixels)
    if data is None:
        raise HTTPException(404, "there is no such picture of this part")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": _KEPT})


def decide(request: Request) -> Response:
    """Saves what a person says; 409 when somebody was there before."""
    site, person, item = site_of(request), person_of(request), request.path_params["item"]
    fields = {name: str(value) for name, value in request.state.form.items()}
    version = field(request, "version")
    try:
        opinion = opinion_of(fields)
        with labels_of(site) as labels:
            review(
                labels,
                item,
                int(version) if version.isdecimal() and len(version) < 16 else -1,
                opinion,
                reviewer_of(person),
                overrules=person.may(Right.OVERRULE),
                now=time.time(),
            )
    except ReviewConflict as conflict:
        said = [{"reviewer": one.reviewer, "label": one.label} for one in conflict.said]
        if _wants_json(request):
            return JSONResponse({"why": say_of(request)(str(conflict)), "said": said, "yours": opinion.answer}, 409)
        return _desk(request, None, status=409, why=str(conflict), yours=opinion.answer)
    except LabelError as problem:
        if _wants_json(request):
            return JSONResponse({"why": say_of(request)(str(problem))}, 422)
        return _desk(request, item, status=422, why=str(problem))
    return JSONResponse({"saved": True}) if _wants_json(request) else _next(request)


def take_back(request: Request) -> Response:
    """Undoes one's own decision and shows the part again."""
    item = request.path_params["item"]
    try:
        with labels_of(site_of(request)) as labels:
            undo(labels, item, reviewer_of(person_of(request)), now=time.time())
    except LabelError as problem:
        return _desk(request, None, status=409, why=str(problem))
    return RedirectResponse(f"{request.app.url_path_for('review')}?item={item}", 303)


def later(request: Request) -> Response:
    """Puts the part behind the others."""
    with labels_of(site_of(request)) as labels:
        postpone(labels, request.path_params["item"], reviewer_of(person_of(request)), time.time())
    return _next(request)


def keep(request: Request) -> Response:
    """The page is still open: the part stays with this person."""
    with labels_of(site_of(request)) as labels:
        kept = renew(labels, request.path_params["item"], reviewer_of(person_of(request)), time.time())
    return JSONResponse({"kept": kept})


def _desk(request: Request, wanted: int | None, *, status: int = 200, why: str = "", yours: str = "") -> Response:
    site = site_of(request)
    desk = desk_of(site, person_of(request), wanted)
    now = time.time()
    texts = words_of(request)
    values = {
        "desk": desk,
        "seen": None if desk.part is None else site.looked_at.of(desk.part),
        "good": None if desk.good is None else site.looked_at.of(desk.good),
        "compared_of": lambda part, view: site.nearest.compare(part, view.row.camera),
        "due_min": _minutes(desk.item.due_at - now) if desk.item and desk.item.due_at else None,
        "oldest_min": _minutes(now - desk.waiting.oldest_at) if desk.waiting.oldest_at else None,
        "why": why,
        "yours": yours,
        "choices": CHOICES,
        "words": json.dumps(
            {
                "kept": texts.gettext("The station does not answer. Your decision is kept here and sent again."),
                "next": texts.gettext(
                    "The station does not answer. Your decision is saved; the next part comes with the next answer."
                ),
                "silent": texts.gettext("The station does not answer. Nothing was changed; ask again."),
                "login": texts.gettext("Your login has ended. Sign in again: your decision is kept and sent then."),
                "gone": texts.gettext("Your time for this part is over, and somebody else has it now."),
                "corners": texts.gettext("Tap the corners of the defect, then the first one again."),
            }
        ),
    }
    return page(request, "review.html", status=status, **values)


def _minutes(seconds: float) -> int:
    return round(seconds / 60)


def _next(request: Request) -> Response:
    return RedirectResponse(request.app.url_path_for("review"), 303)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")
