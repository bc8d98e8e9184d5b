"""What a view is held against, from its configuration and what the engine knows of good parts.

No engine runs here: a what-if of limits needs the manifest alone.
"""

from __future__ import annotations

from engines.bundle.manifest import Calibration
from engines.bundle.picture_bands import PictureBand, PictureBands, ValueBand
from engines.scale import LIMIT
from station.configuration.decision import LimitsSection, QualitySection, ViewLimitsSection
from station.configuration.model import Configuration
from station.line.inspection.decision import Limits, QualityLimits, RegionLimits, Zone
from station.line.inspection.joining import WORST, JoinRule
from station.results import Verdict


class LimitsError(Exception):
    """The configured limits contradict the engine's calibration."""


def limits_of_view(
    decision: ViewLimitsSection,
    quality: QualitySection,
    calibration: Calibration,
    *,
    bands: PictureBands | None,
    camera: str,
    frame_shape: tuple[int, ...] | None = None,
    where: str = "[decision]",
) -> Limits:
    """The limits of one view, from its configuration, the engine's calibration, and what it learned of good pictures.

    They are on the scale of `engines.scale`, where people set them.
    `where`: the section that a message names. Raises LimitsError.
    """
    reject = LIMIT if decision.reject_score is None else decision.reject_score
    review_score = calibration.scale.shown(calibration.review_score)
    review = min(review_score, reject) if decision.review_score is None else decision.review_score
    if review > reject:
        raise LimitsError(
            f"{where} review_score = {review:g} is above the reject limit {reject:g}: lower it, or set reject_score too"
        )
    return Limits(
        reject_score=reject,
        review_score=review,
        regions=_limits(decision.limits),
        zones=tuple(Zone(zone.name, tuple(zone.polygon), _limits(zone), zone.ignore) for zone in decision.zones),
        quality=QualityLimits(
            min_mean_grey=quality.min_mean_grey,
            max_mean_grey=quality.max_mean_grey,
            max_saturated_share=quality.max_saturated_share,
            min_sharpness=quality.min_sharpness,
            max_missing_share=quality.max_missing_share,
            expected_shape=frame_shape,
            verdict=Verdict.FAIL if quality.action == "fail" else Verdict.REVIEW,
            taught=None if bands is None or not quality.as_taught else _unless_set(bands.of(camera), quality),
        ),
    )


def _unless_set(band: PictureBand, quality: QualitySection) -> PictureBand:
    """Without the sides for which a person has set a limit."""
    is_set = quality.model_fields_set
    low, high = band.grey.low, band.grey.high
    return band.model_copy(
        update={
            "grey": ValueBand(
                low=None if "min_mean_grey" in is_set else low, high=None if "max_mean_grey" in is_set else high
            ),
            "saturated": ValueBand() if "max_saturated_share" in is_set else band.saturated,
            "sharpness": ValueBand() if "min_sharpness" in is_set else band.sharpness,
        }
    )


def join_rule(settings: Configuration) -> JoinRule:
    """How the views of a part are joined."""
    match settings.views.rule:
        case "worst":
            return WORST
        case "k_of_n":
            return JoinRule(float(settings.views.k))
        case "weighted":
            return JoinRule(1.0, settings.weights)


def _limits(section: LimitsSection) -> RegionLimits:
    return RegionLimits(**{name: getattr(section, name) for name in LimitsSection.model_fields})
