"""From configuration and engine to the plain rules that `decision.decide` takes."""

from __future__ import annotations

from engines.scale import LIMIT
from station.configuration.decision import LimitsSection, QualitySection, ViewRulesSection
from station.configuration.model import Configuration
from station.line.inspection.decision import Limits, QualityLimits, Rules, Zone
from station.line.inspection.joining import WORST, JoinRule
from station.line.inspection.stage import ViewRules
from station.results import Verdict


class RulesError(Exception):
    """The configured limits contradict the engine's calibration."""


def view_rules(
    decision: ViewRulesSection,
    quality: QualitySection,
    *,
    review_score: float,
    frame_shape: tuple[int, ...] | None = None,
    where: str = "[decision]",
) -> ViewRules:
    """The rules for what one camera sees, on the scale of `engines.scale`; `review_score` is the engine's.

    `where`: the section that a message names. Raises RulesError.
    """
    reject = LIMIT if decision.reject_score is None else decision.reject_score
    review = min(review_score, reject) if decision.review_score is None else decision.review_score
    if review > reject:
        raise RulesError(
            f"{where} review_score = {review:g} is above the reject limit {reject:g}: lower it, or set reject_score too"
        )
    rules = Rules(
        reject_score=reject,
        review_score=review,
        limits=_limits(decision.limits),
        zones=tuple(Zone(zone.name, tuple(zone.polygon), _limits(zone), zone.ignore) for zone in decision.zones),
        quality=QualityLimits(
            min_mean_grey=quality.min_mean_grey,
            max_mean_grey=quality.max_mean_grey,
            max_saturated_share=quality.max_saturated_share,
            min_sharpness=quality.min_sharpness,
            expected_shape=frame_shape,
            verdict=Verdict.FAIL if quality.action == "fail" else Verdict.REVIEW,
        ),
    )
    pixel_score = LIMIT if decision.pixel_score is None else decision.pixel_score
    return ViewRules(rules, pixel_score, decision.pixel_size_mm, decision.min_region_mm2)


def join_rule(settings: Configuration) -> JoinRule:
    """How the views of a part are joined."""
    match settings.views.rule:
        case "worst":
            return WORST
        case "k_of_n":
            return JoinRule(float(settings.views.k))
        case "weighted":
            return JoinRule(1.0, settings.weights)


def _limits(section: LimitsSection) -> Limits:
    return Limits(**{name: getattr(section, name) for name in LimitsSection.model_fields})
