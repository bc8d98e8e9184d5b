"""From configuration and engine to the plain rules that `decision.decide` takes."""

from __future__ import annotations

from engines.scale import LIMIT
from station.config import Configuration
from station.config_decision import LimitsSection
from station.decision import Limits, QualityLimits, Rules, Zone
from station.results import Verdict


class RulesError(Exception):
    """The configured limits contradict the engine's calibration."""


def rules_from(settings: Configuration, *, review_score: float, frame_shape: tuple[int, ...] | None) -> Rules:
    """The rules of this configuration, on the scale of `engines.scale`; `review_score` is the engine's."""
    decision, quality = settings.decision, settings.quality
    reject = LIMIT if decision.reject_score is None else decision.reject_score
    review = min(review_score, reject) if decision.review_score is None else decision.review_score
    if review > reject:
        raise RulesError(
            f"[decision] review_score = {review:g} is above the engine's reject limit {reject:g}: "
            "lower it, or set reject_score too"
        )
    return Rules(
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


def _limits(section: LimitsSection) -> Limits:
    return Limits(**{name: getattr(section, name) for name in LimitsSection.model_fields})
