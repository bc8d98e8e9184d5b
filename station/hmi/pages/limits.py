"""Limits of the verdict: sliders and numbers over the scores of stored parts. Nothing is saved here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engines.scale import LIMIT
from station.configuration.decision import LimitsSection
from station.configuration.load import LoadedConfiguration
from station.hmi.pages.setup import camera_of
from station.hmi.rendering import page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.hmi.setup.changes import Changes, WrongChange, changes_in, now
from station.hmi.setup.engine_limits import review_limit
from station.hmi.setup.meaning import names
from station.hmi.setup.scores import HIGH, STEPS, scores_of

ALL = "all"
REGIONS = ("pixel_score", "pixel_size_mm", "min_region_mm2")
QUALITY = ("min_mean_grey", "max_mean_grey", "max_saturated_share", "min_sharpness")


def routes() -> list[Route]:
    """Whoever may look at set-up sees them; who may set up can go on to the difference."""
    return [Route("/setup/limits", limits, name="setup-limits")]


def limits(request: Request) -> Response:
    """`?camera=NAME`, or `all`: what is set in the files, and what else holds."""
    site, words, asked = site_of(request), words_of(request), request.query_params
    active = active_of(site)
    cameras = list(active.settings.cameras)
    several = len(cameras) > 1
    camera = asked.get("camera") or ALL
    camera = camera if camera == ALL else camera_of(request, active)
    base = ("decision",) if camera == ALL else ("decision", "views", camera)
    problem = ""
    try:
        changes = changes_in(asked, active)
    except WrongChange as wrong:
        changes, problem = {}, str(wrong)
    decision = active.settings.decision if camera == ALL else active.settings.decision_on(camera)
    quality = active.settings.quality if camera == ALL else active.settings.quality_on(camera)
    of_quality = ("quality",) if camera == ALL else (*base, "quality")

    def fields(base: tuple[str, ...], section: Any, keys: tuple[str, ...]) -> list[dict[str, Any]]:
        return [_field(active, changes, (*base, key), getattr(section, key), names(words)[key]) for key in keys]

    scores = scores_of(site, active.settings.recipe.name, "" if camera == ALL else camera)
    score_fields = fields(base, decision, ("review_score", "reject_score"))
    reject = LIMIT if decision.reject_score is None else decision.reject_score
    for each, of_engine in zip(score_fields, (review_limit(active, reject), LIMIT), strict=True):
        each["holds"] = each["holds"] or ("" if of_engine is None else f"{of_engine:.3g}")
    return page(
        request,
        "setup_limits.html",
        status=400 if problem else 200,
        problem=problem,
        cameras=[ALL, *cameras] if several else [],
        camera=camera,
        scores=scores,
        steps=STEPS,
        high=HIGH,
        score_fields=score_fields,
        lines={each["key"].rpartition(".")[2]: _number(each["value"], each["holds"], LIMIT) for each in score_fields},
        region_fields=fields(base, decision, REGIONS),
        limit_fields=fields((*base, "limits"), decision.limits, tuple(LimitsSection.model_fields)),
        quality_fields=fields(of_quality, quality, QUALITY),
        action=_field(active, changes, (*of_quality, "action"), quality.action, names(words)["action"]),
        may_try=person_of(request).may(Right.SETUP_TRY),
    )


def _field(
    active: LoadedConfiguration, changes: Changes, path: tuple[str, ...], holds: Any, name: str
) -> dict[str, Any]:
    """One input: what is written in the files or asked for in the address, and what holds where nothing is written."""
    written = changes.get(path, now(active, path))
    return {
        "key": ".".join(path),
        "name": name,
        "value": _text(written),
        "holds": _text(holds),
        "changed": path in changes,
    }


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.10g}" if isinstance(value, int | float) else str(value)


def _number(*texts: Any) -> float:
    """The first that says something."""
    return next((float(text) for text in texts if text not in ("", None)), 0.0)
