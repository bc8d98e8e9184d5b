"""Teaching by hand: good parts as a strip of pictures, what is left out, a candidate from the rest; and the refresh.

The daemon does the work, as a process of the lowest priority; neither it nor the pages ever load a training library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from drivers.camera.images import image_files, read_image
from drivers.camera.protocol import CameraUnreadable
from engines.overlay import fitted
from station.control import ControlError
from station.hmi import queries
from station.hmi.engines import dossier
from station.hmi.engines.under_way import COLLECT, REFRESH
from station.hmi.guard import field
from station.hmi.pages.maintenance.engines import engine, may_of, overview, tabs_of, under_way, version_of
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.setup.active import active_of
from station.records.images import as_seen
from station.records.parts import PartRow
from station.records.selection import Selection
from station.reports.drawing import jpeg
from station.results import Verdict

COUNTS = (60, 120, 240, 480)
MIN_PARTS = 25
"""20 to learn from, and 5 to compare with."""
TILE_PX = 240
MOST_FIELDS = 190
"""Parts that are left out of one strip: a form has a bounded number of fields."""
LONGEST_LIST = 48 * 1024
REFRESH_PARTS = (200, 500, 1000, 2000)
COLLECT_PARTS = (30, 60, 120, 240)
_FILE = re.compile(r"[0-9]{5}-[A-Za-z0-9_-]{1,32}\.png")
_PICTURES = "private, max-age=600"


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture of the strip."""

    key: str
    """SESSION/ACQUISITION_ID, or the name of a collected file."""
    name: str
    verdict: str
    href: str
    picture: str


def routes() -> list[Route]:
    """Nothing that is made here is activated here."""
    return [
        Route("/teach", strip, name="maintenance-teach"),
        Route("/teach/start", start, name="maintenance-teach-start", methods=["POST"]),
        Route("/teach/collect", collect, name="maintenance-collect", methods=["POST"]),
        Route("/teach/refresh", refresh, name="maintenance-refresh", methods=["POST"]),
        Route("/teach/kinds", learn_kinds, name="maintenance-kinds", methods=["POST"]),
        Route("/teach/stop", stop, name="maintenance-refresh-stop", methods=["POST"]),
        Route("/teach/part/{session}/{acquisition:int}.jpg", part_picture, name="maintenance-part-picture"),
        Route("/teach/collected/{file}", collected_picture, name="maintenance-collected-picture"),
        Route("/engines/{version}/again", again, name="maintenance-again", methods=["POST"]),
    ]


def strip(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """`?from=parts&n=120&also=1` or `?from=line`: what would be learned, a tap leaves one out."""
    asked = request.query_params
    source = "line" if (field_or(request, "from") or asked.get("from")) == "line" else "parts"
    number = asked.get("n", "")
    count = int(number) if number in map(str, COUNTS) else COUNTS[1]
    also = asked.get("also") == "1"
    tiles = _collected(request) if source == "line" else _parts(request, count, also=also)
    keys = [tile.key for tile in tiles]
    return page(
        request,
        "teach.html",
        status=status,
        problem=problem,
        source=source,
        count=count,
        also=also,
        tiles=tiles,
        shown=_packed(keys),
        out=set(_listed(request, "out")) if request.method == "POST" else set(),
        counts=COUNTS,
        collect_parts=COLLECT_PARTS,
        refresh_parts=REFRESH_PARTS,
        min_parts=MIN_PARTS,
        most_out=MOST_FIELDS,
        has_store=active_of(site_of(request)).engine_store is not None,
        work=under_way(request),
        may=may_of(request),
        kinds=(REFRESH, COLLECT),
        **tabs_of(request),
    )


def start(request: Request) -> Response:
    """Has the daemon teach from what was shown and not left out."""
    words, out = words_of(request), set(_listed(request, "out"))
    try:
        keys = [key for key in _unpacked(field(request, "shown")) if key not in out]
    except ValueError:
        return strip(request, status=400, problem=words.gettext("The list of parts cannot be understood: load anew."))
    if len(keys) < MIN_PARTS:
        problem = words.gettext("%(left)s parts are left, at least %(needed)s are needed: take more.")
        return strip(request, status=400, problem=problem % {"left": len(keys), "needed": MIN_PARTS})
    message = {"only": keys, "collected": field(request, "from") == "line"}
    return _asked(request, message, lambda why: strip(request, status=409, problem=why))


def refresh(request: Request) -> Response:
    """Has the daemon teach from the newest parts on record."""
    parts = field(request, "parts")
    if parts not in map(str, REFRESH_PARTS):
        raise HTTPException(400, "parts: one of the numbers that the page offers")
    return _asked(request, {"parts": int(parts)}, lambda why: strip(request, status=409, problem=why))


def learn_kinds(request: Request) -> Response:
    """Has the daemon learn anew what rejects are called, from what people said of parts."""
    message = {"command": "refresh", "action": "kinds"}
    then = request.app.url_path_for("maintenance-engines")
    return _ask(request, message, lambda why: overview(request, status=409, problem=why), then)


def again(request: Request) -> Response:
    """Has the daemon teach from the same parts as a version, with images as good that it had removed."""
    words, (_, row) = words_of(request), version_of(request)
    found = dossier.dossier_of(row.version.path)
    removed = set() if found is None else {image.name for image in found.removed}
    good = [name for name in _listed(request, "good") if name in removed]
    parts = dossier.taught_parts(row.version.path)
    if not good or not parts:
        return engine(request, status=400, problem=words.gettext("Choose at least one picture that shows a good part."))
    message = {"only": parts, "vetoed": good, "collected": not any("/" in part for part in parts)}
    return _asked(request, message, lambda why: engine(request, status=409, problem=why))


def collect(request: Request) -> Response:
    """Has the daemon keep the frames of the next parts, which are not inspected meanwhile."""
    parts = field(request, "parts")
    if parts not in map(str, COLLECT_PARTS):
        raise HTTPException(400, "parts: one of the numbers that the page offers")
    message = {"command": "teach", "parts": int(parts), "collect": True}
    then = f"{request.app.url_path_for('maintenance-teach')}?from=line"
    return _ask(request, message, lambda why: strip(request, status=409, problem=why), then)


def stop(request: Request) -> Response:
    """Has the daemon give the refresh up."""
    message = {"command": "refresh", "action": "stop"}
    then = request.app.url_path_for("maintenance-teach")
    return _ask(request, message, lambda why: strip(request, status=409, problem=why), then)


def part_picture(request: Request) -> Response:
    """A small picture of a part on record, of its first view that has one."""
    session, number = request.path_params["session"], request.path_params["acquisition"]
    part = queries.one(site_of(request), session, number)
    seen = None if part is None else site_of(request).eyes.look(part, most_px=TILE_PX)
    pixels = next((view.image for view in seen.views if view.image is not None), None) if seen is not None else None
    if pixels is None:
        raise HTTPException(404, "there is no picture of this part")
    return Response(jpeg(pixels), media_type="image/jpeg", headers={"Cache-Control": _PICTURES})


def collected_picture(request: Request) -> Response:
    """A small picture of a collected frame, by its name in the listing of that folder."""
    name = request.path_params["file"]
    if not _FILE.fullmatch(name):
        raise HTTPException(404, "there is no such picture")
    try:
        file = _folder(request) / name
        frame = read_image(file)
        colour = frame if frame.ndim == 3 else np.repeat(frame[:, :, np.newaxis], 3, axis=2)
        pixels = fitted(as_seen(file.read_bytes(), colour), TILE_PX, TILE_PX)
    except (CameraUnreadable, OSError) as problem:
        raise HTTPException(404, "there is no such picture") from problem
    return Response(jpeg(pixels), media_type="image/jpeg", headers={"Cache-Control": "no-store"})


def field_or(request: Request, name: str) -> str:
    """A field of the form, where one was sent."""
    return field(request, name) if request.method == "POST" else ""


def _ask(request: Request, message: Mapping[str, object], refused: Callable[[str], Response], then: str) -> Response:
    """Asks the daemon and leads to the address `then`; `refused` makes the page with the reason why it will not."""
    try:
        site_of(request).ask(person_of(request), message)
    except ControlError as refusal:
        return refused(str(refusal))
    return RedirectResponse(then, 303)


def _asked(request: Request, message: dict[str, object], refused: Callable[[str], Response]) -> Response:
    """Asks for a candidate of these parts."""
    words = words_of(request)
    if len(json.dumps(message)) > LONGEST_LIST:
        return refused(words.gettext("These are too many parts for the page: use station refresh --only in a shell."))
    order = {"command": "refresh", "action": "start", **message}
    return _ask(request, order, refused, request.app.url_path_for("maintenance-teach"))


def _parts(request: Request, count: int, *, also: bool) -> list[Tile]:
    """The newest parts with a picture, newest first; `also`: those that did not pass, too."""
    site = site_of(request)
    recipe = active_of(site).settings.recipe.name
    if not site.records.exists():
        return []
    verdicts = (Verdict.PASS, Verdict.REVIEW, Verdict.FAIL) if also else (Verdict.PASS,)
    found = queries.newest(site, Selection(verdicts=verdicts, recipe=recipe, production=True), 4 * count)
    rows = [
        row
        for row, said in zip(found.rows, found.labels, strict=True)
        if any(view.image_path for view in row.views) and (said is None or said.label == "good")
    ]
    return [_tile(request, row) for row in rows[:count]]


def _tile(request: Request, row: PartRow) -> Tile:
    where = {"session": row.session, "acquisition": row.acquisition_id}
    return Tile(
        key=f"{row.session}/{row.acquisition_id}",
        name=str(row.part_id),
        verdict=row.verdict,
        href=str(request.app.url_path_for("part", **where)),
        picture=str(request.app.url_path_for("maintenance-part-picture", **where)),
    )


def _collected(request: Request) -> list[Tile]:
    """The frames that were collected last; none while there is no such folder."""
    try:
        files = [file.name for file in image_files(_folder(request)) if _FILE.fullmatch(file.name)]
    except CameraUnreadable:
        return []
    places = {name: str(request.app.url_path_for("maintenance-collected-picture", file=name)) for name in files}
    return [Tile(name, name.removesuffix(".png"), "", places[name], places[name]) for name in files[: COUNTS[-1]]]


def _folder(request: Request) -> Path:
    """Where the daemon keeps what it collected: `station.jobs.teaching_from_line`."""
    return site_of(request).station.work_dir / "teaching" / "good"


def _listed(request: Request, name: str) -> list[str]:
    return [str(value) for value in request.state.form.getlist(name)]


def _packed(keys: Sequence[str]) -> str:
    """Keys as short as a form can carry them: numbers by session; names of files as they are."""
    packed: dict[str, list[int | str]] = {}
    for key in keys:
        session, slash, number = key.rpartition("/")
        packed.setdefault(session, []).append(int(number) if slash else key)
    return json.dumps(packed, separators=(",", ":"))


def _unpacked(text: str) -> list[str]:
    """Raises ValueError."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(group, list) for group in found.values()):
        raise ValueError("not a list of parts")
    return [f"{session}/{each}" if session else str(each) for session, group in found.items() for each in group]
