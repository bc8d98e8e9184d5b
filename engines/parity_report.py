"""What a comparison of two ways of computing an engine found, and how much they may differ.

The raw scores of detectors have any unit, so differences are also given as shares of the distance that matters: from
the typical good part to the reject limit (of the map: to where a defect region begins). What lies farther from the
typical part than the limit is measured against its own distance.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines import said

Verdict = Literal["PASS", "REVIEW", "FAIL"]
GOLDEN_PREFIX = "golden/"
"""Names of golden images begin with it."""

_Text = Annotated[str, Field(max_length=200)]
_Count = Annotated[int, Field(ge=0)]
_Difference = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Tolerance(_Strict):
    """How much a candidate may differ from the reference. No golden image may ever change its verdict."""

    score_share: _Difference
    """Largest difference of an image score, as share of the way to the reject limit."""
    map_share: _Difference
    """Largest difference of a cell of the map, as share of the way to where a region begins."""
    rank_correlation: Annotated[float, Field(ge=-1, le=1)]
    """Smallest correlation (Spearman) of the image scores; those nearer to each other than that share a rank."""
    changed_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the other images that may change their verdict."""


FLOAT32 = Tolerance(score_share=0.005, map_share=0.01, rank_correlation=0.98)
"""Another runtime in the same precision: only the order of additions differs."""
HALF = Tolerance(score_share=0.05, map_share=0.1, rank_correlation=0.95)
"""Backbone and coupling subnets in half precision."""
INT8 = Tolerance(score_share=0.25, map_share=0.5, rank_correlation=0.9, changed_share=0.02)
"""Backbone in 8 bits."""


class ChangedVerdict(_Strict):
    """An image on which the two ways disagree."""

    image: _Text
    reference: Verdict
    candidate: Verdict


class ParityReport(_Strict):
    """A candidate against the reference, on the same images in the model's input size."""

    reference: _Text
    candidate: _Text
    """What computed it: runtime, version, precision."""
    images: Annotated[int, Field(ge=1)]
    golden: _Count
    """Of these, golden images."""
    not_finite: _Count
    """Images of which one of the two gave a score or a cell that is not a number; left out of all that follows."""
    max_score_difference: _Difference
    """In raw scores."""
    max_map_difference: _Difference
    score_share: _Difference
    """The largest difference of an image score, as share of the way from the typical part to the reject limit."""
    map_share: _Difference
    changed: tuple[ChangedVerdict, ...]
    rank_correlation: Annotated[float, Field(ge=-1, le=1)] | None
    """Of the image scores; None: all images lie nearer to each other than the tolerance."""
    tolerance: Tolerance
    passed: bool

    @model_validator(mode="after")
    def _is_true(self) -> ParityReport:
        if self.passed == bool(self.problems):
            raise ValueError(f"passed is {self.passed}, but what is over tolerance: {list(self.problems)}")
        return self

    @property
    def problems(self) -> tuple[str, ...]:
        """What is over tolerance, in words with the numbers; none: passed."""
        return tuple(_problems(self))

    def summary(self) -> str:
        """One short line with the numbers."""
        values = {"share": f"{self.score_share:.2%}", "other_share": f"{self.map_share:.2%}"}
        values |= {"count": str(len(self.changed)), "total": str(self.images)}
        if self.rank_correlation is None:
            return said.PARITY(**values)
        return said.PARITY_AND_RANKS(**values, number=f"{self.rank_correlation:.4f}")

    def refusal(self) -> str:
        """One line that says what differs by how much, for errors and warnings."""
        return f"{self.candidate} differs from {self.reference} on {self.images} images: {'; '.join(self.problems)}"

    def __str__(self) -> str:
        return self.summary() if self.passed else self.refusal()

    def text(self) -> str:
        """The numbers in a few lines, for people."""
        allowed = self.tolerance
        correlation = "none" if self.rank_correlation is None else f"{self.rank_correlation:.4f}"
        verdicts = ", ".join(map(_change, self.changed)) or "none changed"
        lines = [
            f"parity of {self.candidate} with {self.reference}: {'passed' if self.passed else 'REFUSED'}",
            f"  images    {self.images}, of them {self.golden} golden"
            + (f"; {self.not_finite} not finite" if self.not_finite else ""),
            f"  score     differs by at most {self.max_score_difference:.4g}, {self.score_share:.2%} of the way to the "
            f"reject limit (allowed {allowed.score_share:.2%})",
            f"  map       differs by at most {self.max_map_difference:.4g}, {self.map_share:.2%} of the way to a region"
            f" (allowed {allowed.map_share:.2%})",
            f"  verdicts  {verdicts} (allowed {allowed.changed_share:.0%}, of golden images none)",
            f"  ranks     correlation {correlation} (at least {allowed.rank_correlation:g})",
        ]
        return "\n".join([*lines, *(f"  over      {problem}" for problem in self.problems)])


def _problems(report: ParityReport) -> list[str]:
    allowed, found = report.tolerance, []
    if report.not_finite:
        found.append(f"{report.not_finite} images with scores that are not finite")
    if report.score_share > allowed.score_share:
        found.append(
            f"a score by {report.max_score_difference:.4g}, {report.score_share:.2%} of the way to the reject limit, "
            f"allowed {allowed.score_share:.2%}"
        )
    if report.map_share > allowed.map_share:
        found.append(
            f"a cell of the map by {report.max_map_difference:.4g}, {report.map_share:.2%} of the way to a region, "
            f"allowed {allowed.map_share:.2%}"
        )
    golden = [change for change in report.changed if change.image.startswith(GOLDEN_PREFIX)]
    others = [change for change in report.changed if change not in golden]
    found += [f"the verdict of {_change(change)}" for change in golden]
    if len(others) > allowed.changed_share * (report.images - report.golden):
        found.append(
            f"{len(others)} of {report.images - report.golden} other verdicts, allowed {allowed.changed_share:.0%} "
            f"({', '.join(map(_change, others[:3]))}{', ...' if len(others) > 3 else ''})"
        )
    if report.rank_correlation is not None and report.rank_correlation < allowed.rank_correlation:
        found.append(
            f"the order of the images: correlation {report.rank_correlation:.4f}, at least "
            f"{allowed.rank_correlation:g} is wanted"
        )
    return found


def _change(change: ChangedVerdict) -> str:
    return f"{change.image} {change.reference} -> {change.candidate}"
