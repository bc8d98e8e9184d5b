"""Engines: the versions in the store, one with its dossier, and changing the active one, which the daemon does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engines.bundle.detection import CONTRASTS
from engines.bundle.picture_bands import bands_in_words
from engines.bundle.reviews import advice, price_header, price_rows
from engines.errors import EngineError
from engines.store.signed import signer_of_engine
from station.configuration.load import LoadedConfiguration
from station.control import ControlError
from station.hmi.engines import compared, dossier
from station.hmi.engines.beside import beside, shadow_of
from station.hmi.engines.curves import drawn
from station.hmi.engines.named import named_kinds
from station.hmi.engines.under_way import collecting_of, refresh_of
from station.hmi.engines.versions import Row, Store, asks_for_variants, facts_of, needs_reason, open_question, store_at
from station.hmi.guard import field
from station.hmi.pages.second import waits_or
from station.hmi.rendering import page, person_of, site_of, state_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.hmi.work import Work

CHANGE_S = 90.0
"""A change of the engine: its check, loading, and parts that are still on their way."""
HISTORY_SHOWN = 20
_PICTURES = "private, max-age=600"


def routes() -> list[Route]:
    """Activating and going back ask the password once more (`rights.STEP_UP`)."""
    version = "/engines/{version}"
    return [
        Route("/engines", overview, name="maintenance-engines"),
        Route("/engines/state.json", state, name="maintenance-state"),
        Route("/engines/rollback", roll_back, name="maintenance-rollback", methods=["POST"]),
        Route(version, engine, name="maintenance-engine"),
        Route(version + "/activate", activate, name="maintenance-activate", methods=["POST"]),
        Route(version + "/{kind}/{number:int}.jpg", picture, name="maintenance-picture"),
    ]


def overview(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """All versions, the active one with its promise, what was done, and what is under way."""
    store = store_of(request)
    heard = site_of(request).line.now().status
    return page(
        request,
        "engines.html",
        status=status,
        problem=problem,
        store=store,
        events=[] if store is None else store.events[:HISTORY_SHOWN],
        at=lambda text: at(request, text),
        used=str((heard or {}).get("engine_id", "")),
        shadow=shadow_of(heard),
        work=under_way(request),
        kinds=None if store is None else named_kinds(site_of(request), store),
        may=may_of(request),
        **tabs_of(request),
    )


def engine(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """One version: what it promises and finds, where it comes from, what it left out, and what can be done with it."""
    store, row = version_of(request)
    found = dossier.dossier_of(row.version.path)
    removed = [] if found is None else list(found.removed)
    comparison = compared.of_refresh(row)
    values: dict[str, Any] = {}
    if (manifest := row.manifest) is not None:
        detection, reviews = manifest.detection, manifest.reviews
        values = {
            "facts": facts_of(manifest),
            "curves": [
                Markup(drawn(detection, name, words_of(request)))
                for name in CONTRASTS
                if detection and detection.of(name)
            ],
            "pictures": bands_in_words(manifest.picture_bands),
            "finds": () if detection is None else detection.in_words(),
            "prices": None if reviews is None else (price_header(reviews), price_rows(reviews), advice(reviews)),
            "question": open_question(row, store.events),
            "asks_variants": asks_for_variants(row),
            "needs_reason": needs_reason(row),
        }
    return page(
        request,
        "engine.html",
        status=status,
        problem=problem,
        store=store,
        row=row,
        dossier=found,
        removed=removed[: dossier.MOST_SHOWN],
        removed_more=max(0, len(removed) - dossier.MOST_SHOWN),
        has_picture=lambda image: dossier.has_picture(row.version.path, image.id),
        again=dossier.taught_parts(row.version.path),
        comparison=comparison,
        figures=[] if comparison is None else compared.table_of(comparison),
        most=compared.MOST_SHOWN,
        changed_pictures=compared.pictures_of(row),
        signer=_signer(active_of(site_of(request)), row),
        work=site_of(request).works.of("verify"),
        beside=beside(site_of(request).records, store, row),
        shadow=shadow_of(site_of(request).line.now().status),
        at=lambda text: at(request, text),
        may=may_of(request),
        asked=getattr(request.state, "form", {}),
        **values,
        **tabs_of(request),
    )


def picture(request: Request) -> Response:
    """A picture of the dossier, `plain` or `map`, or of a part whose verdict changes, `changed`. Never by a path."""
    _, row = version_of(request)
    kind = request.path_params["kind"]
    data = None
    if kind in ("plain", "map") and request.path_params["number"] < 10**6:
        data = dossier.picture_of(row.version.path, request.path_params["number"], kind)
    if kind == "changed" and request.path_params["number"] < compared.MOST_SHOWN:
        data = compared.picture_of(row.version.path, request.path_params["number"])
    if data is None:
        raise HTTPException(404, "there is no such picture of this engine")
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": _PICTURES})


def activate(request: Request) -> Response:
    """Has the daemon use this version; nothing is shown as done before it has said so."""
    _, row = version_of(request)
    why, variants = field(request, "why").strip(), field(request, "variants") or None
    if not why:
        return engine(request, status=400, problem=words_of(request).gettext("Say why: it stands in the history."))
    message = {"command": "engine", "action": "activate", "version": row.name, "why": why, "variants": variants}
    try:
        reply = site_of(request).ask(person_of(request), message, CHANGE_S)
    except ControlError as problem:
        return engine(request, status=409, problem=str(problem))
    return waits_or(request, reply, request.app.url_path_for("maintenance-engines"))


def roll_back(request: Request) -> Response:
    """Has the daemon use the version that was active before."""
    why = field(request, "why").strip()
    if not why:
        return overview(request, status=400, problem=words_of(request).gettext("Say why: it stands in the history."))
    try:
        asked = {"command": "engine", "action": "rollback", "why": why}
        reply = site_of(request).ask(person_of(request), asked, CHANGE_S)
    except ControlError as problem:
        return overview(request, status=409, problem=str(problem))
    return waits_or(request, reply, request.app.url_path_for("maintenance-engines"))


def state(request: Request) -> Response:
    """How what is under way stands, for a page that is open."""
    return JSONResponse(state_of(request, under_way(request)))


def store_of(request: Request) -> Store | None:
    """The store of the active product; None: the engine is a plain folder. Raises StoreError, ConfigurationError."""
    folder: Path | None = active_of(site_of(request)).engine_store
    return None if folder is None else store_at(folder)


def version_of(request: Request) -> tuple[Store, Row]:
    """The version that the address names. Raises HTTPException 404."""
    store = store_of(request)
    row = None if store is None else store.find(request.path_params["version"])
    if store is None or row is None:
        raise HTTPException(404, "there is no such version in the engine store; it may have been removed")
    return store, row


def under_way(request: Request) -> Work | None:
    """What runs now for engines: the daemon's refresh or collecting; else the newest refresh that has ended."""
    status = site_of(request).line.now().status
    refresh, collecting = refresh_of(status), collecting_of(status)
    return collecting if collecting is not None and collecting.is_running else refresh


def may_of(request: Request) -> dict[str, bool]:
    """What this person may do with engines, for the buttons; the guard and the daemon decide."""
    person = person_of(request)
    return {
        "check": person.may(Right.ENGINES_CHECK),
        "activate": person.may(Right.ENGINES_ACTIVATE),
        "teach": person.may(Right.MAINTAIN),
    }


TABS = (
    ("maintenance-health", "Health"),
    ("maintenance-engines", "Engines"),
    ("maintenance-teach", "Teach"),
    ("maintenance-challenge", "Challenge test"),
    ("virtual", "Virtual challenge"),
    ("trends", "Trends"),
    ("process", "Process values"),
    ("agreement", "Agreement"),
)


def tabs_of(request: Request) -> dict[str, Any]:
    """The pages of maintenance that this person may open."""
    person, known = person_of(request), request.app.state.rights
    return {"maintenance_tabs": [(name, word) for name, word in TABS if name in known and person.may(known[name])]}


def at(request: Request, text: str) -> str:
    """A time of the store, UTC in ISO 8601, as the clock of the station shows it; what is no time stays as it is."""
    return site_of(request).calendar.of_text(text, "min")


def _signer(configuration: LoadedConfiguration, row: Row) -> str:
    """Who has signed a version; empty: nobody who is trusted here."""
    try:
        signer = signer_of_engine(row.version.path, configuration.trust)
    except EngineError as problem:
        return str(problem)
    return "" if signer is None else f"{signer}: {signer.comment}"
