"""From the verdicts on the views of a part to the verdict on the part. Pure.

Each view votes with its weight. The part fails when the views that FAIL have `votes_needed` together; it is REVIEW
when those that FAIL or REVIEW have; else it passes.

    worst       one view is enough
    k_of_n      k views of weight 1
    weighted    views whose weights add up to 1

What cannot be outvoted, whatever the rule: a view with an ERROR, or whose picture is not to be trusted. It has not
seen the part, so the part is at least what that view is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from station.codes import ReasonCode
from station.results import SEVERITY, Decision, Inspection, Reason, Verdict

PICTURE_NOT_TRUSTED = frozenset(
    {
        ReasonCode.TOO_DARK,
        ReasonCode.TOO_BRIGHT,
        ReasonCode.OUT_OF_FOCUS,
        ReasonCode.WRONG_SIZE,
        ReasonCode.PART_NOT_LOCATED,
        ReasonCode.LIGHT_NOT_AS_TAUGHT,
        ReasonCode.SHARPNESS_NOT_AS_TAUGHT,
        ReasonCode.PLACE_NOT_AS_TAUGHT,
        ReasonCode.HEIGHTS_MISSING,
        ReasonCode.TEACHING,
    }
)
ROUNDING = 1e-9
"""Weights such as 0.1 do not add up to 1 exactly."""


@dataclass(frozen=True, slots=True)
class JoinRule:
    """How many votes it takes, and how many each camera has: 1 unless `weights` says otherwise."""

    votes_needed: float = 0.0
    """0: the worst view wins."""
    weights: Mapping[str, float] = field(default_factory=dict)

    def votes(self, views: Iterable[Inspection]) -> float:
        return sum(self.weights.get(view.camera, 1.0) for view in views)

    def carried(self, views: Sequence[Inspection]) -> bool:
        """These views together decide."""
        return bool(views) and self.votes(views) >= self.votes_needed - ROUNDING


WORST = JoinRule()


def join(views: Sequence[Inspection], rule: JoinRule) -> Decision:
    """The decision on a part all of whose views are there. Reasons come most severe first and name their camera."""
    if not views:
        raise ValueError("a part without a view has no verdict to join")
    if len(views) == 1:
        return views[0].decision
    verdict = _verdict(views, rule)
    if verdict is Verdict.PASS:
        return Decision(verdict)
    ordered = sorted((view for view in views if view.decision.reasons), key=_severity, reverse=True)
    return Decision(
        verdict, tuple(of_camera(view.camera, reason) for view in ordered for reason in view.decision.reasons)
    )


def of_camera(camera: str, reason: Reason) -> Reason:
    """The reason with the name of the camera whose view gave it."""
    where = f'camera "{camera}"'
    return Reason(reason.code, f"{where}: {reason.detail}" if reason.detail else where)


def failed_view(camera: str, decision: Decision) -> Decision:
    """What an ERROR of one view makes of the part, whatever the others say."""
    return Decision(decision.verdict, tuple(of_camera(camera, reason) for reason in decision.reasons))


def missing_views(cameras: Sequence[str]) -> Decision:
    """The verdict on a part that these cameras did not see in time."""
    return Decision(Verdict.ERROR, tuple(of_camera(name, Reason(ReasonCode.VIEW_MISSING)) for name in cameras))


def _verdict(views: Sequence[Inspection], rule: JoinRule) -> Verdict:
    verdicts = [view.decision.verdict for view in views if _cannot_be_outvoted(view)]
    if rule.carried([view for view in views if view.decision.verdict is Verdict.FAIL]):
        verdicts.append(Verdict.FAIL)
    elif rule.carried([view for view in views if view.decision.verdict in (Verdict.FAIL, Verdict.REVIEW)]):
        verdicts.append(Verdict.REVIEW)
    return max(verdicts, key=SEVERITY.__getitem__, default=Verdict.PASS)


def _cannot_be_outvoted(view: Inspection) -> bool:
    decision = view.decision
    return decision.verdict is Verdict.ERROR or any(reason.code in PICTURE_NOT_TRUSTED for reason in decision.reasons)


def _severity(view: Inspection) -> int:
    return SEVERITY[view.decision.verdict]
