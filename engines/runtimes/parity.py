"""The parity gate: may a runtime stand in for the reference, ONNX Runtime with the float32 graph?

Before a runtime is used, the same images go through both: the golden images of the engine and the sample of good
images that it keeps for this (see `engines.bundle.reading`). What differs by how much is a `ParityReport`; over
tolerance it refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.bundle.manifest import Calibration
from engines.bundle.reading import Golden
from engines.errors import ParityRefused
from engines.parity_report import GOLDEN_PREFIX, ChangedVerdict, ParityReport, Tolerance, Verdict
from engines.runtimes.protocol import Runtime


@dataclass(frozen=True, slots=True)
class ParityImage:
    """An image in the model's input size and the name that reports give it."""

    name: str
    pixels: NDArray[np.uint8]
    """(height, width, 3) RGB."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    name: str
    """Runtime, version and precision, for people."""
    runtime: Runtime
    batch_size: int = 1
    """Images that it scores together; the last batch is filled up with the first images."""


def parity_images(golden: Sequence[Golden], sample: Sequence[NDArray[np.uint8]]) -> tuple[ParityImage, ...]:
    """The golden images of an engine and its sample of good ones."""
    return (
        *(ParityImage(f"{GOLDEN_PREFIX}{entry.name}", entry.image) for entry in golden),
        *(ParityImage(f"sample/{index:02}", pixels) for index, pixels in enumerate(sample)),
    )


def compare(
    reference: Side, candidate: Side, images: Sequence[ParityImage], limits: Calibration, tolerance: Tolerance
) -> ParityReport:
    """Score all images on both sides and say how far the candidate is from the reference.

    Raises:
        RuntimeFailure: one of the two could not score an image.
        ValueError: no images.
    """
    if not images:
        raise ValueError("no images: nothing can be compared")
    expected_scores, expected_maps = _infer(reference, images)
    scores, maps = _infer(candidate, images)
    finite = np.isfinite(expected_scores) & np.isfinite(scores)
    both = np.isfinite(expected_maps) & np.isfinite(maps)
    finite &= both.all(axis=tuple(range(1, both.ndim)))
    names = [image.name for image, is_finite in zip(images, finite, strict=True) if is_finite]
    expected_scores, scores = expected_scores[finite], scores[finite]
    expected_maps, maps = expected_maps[finite], maps[finite]
    measured = ParityReport.model_construct(
        reference=reference.name,
        candidate=candidate.name,
        images=len(images),
        golden=sum(image.name.startswith(GOLDEN_PREFIX) for image in images),
        not_finite=int(np.count_nonzero(~finite)),
        max_score_difference=_largest(np.abs(scores - expected_scores)),
        max_map_difference=_largest(np.abs(maps - expected_maps)),
        score_share=_largest_share(scores, expected_scores, limits.typical_score, limits.reject_score),
        map_share=_largest_share(maps, expected_maps, limits.typical_peak, limits.pixel_score),
        changed=tuple(
            ChangedVerdict(image=name, reference=before, candidate=after)
            for name, before, after in zip(
                names, _verdicts(expected_scores, limits), _verdicts(scores, limits), strict=True
            )
            if before != after
        ),
        rank_correlation=rank_correlation(
            expected_scores, scores, tolerance.score_share * (limits.reject_score - limits.typical_score)
        ),
        tolerance=tolerance,
        passed=True,
    )
    return ParityReport(**{**dict(measured), "passed": not measured.problems})


def require_parity(report: ParityReport, instead: str) -> None:
    """Pass a report that is within its tolerance.

    Args:
        report: what was compared.
        instead: what to do when it is not, for the message.

    Raises:
        ParityRefused: it is over tolerance; with the numbers.
    """
    if not report.passed:
        raise ParityRefused(f"{report.refusal()}; {instead}", report)


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64], resolution: float = 0.0) -> float | None:
    """Spearman's, over groups of images that `resolution` separates; None: it separates none.

    Images whose scores in `first` are no farther apart than that are one group, with the mean of their scores: good
    images of a uniform product score nearly the same, their order says nothing. A `second` without an order gives 0.
    """
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[order], prepend=-np.inf) > resolution)
    if len(starts) < 2:
        return None
    sizes = np.diff([*starts, len(first)])
    one, other = (np.repeat(np.add.reduceat(each[order], starts) / sizes, sizes) for each in (first, second))
    if np.ptp(other) == 0:
        return 0.0
    correlation = float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])
    return min(1.0, max(-1.0, correlation))  # rounding may exceed it


def _infer(side: Side, images: Sequence[ParityImage]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores and maps of all images, batch by batch, so that many images need no more memory than one batch."""
    size, scores, maps = side.batch_size, [], []
    for start in range(0, len(images), size):
        batch = list(images[start : start + size])
        filled = [*batch, *(images[index % len(images)] for index in range(size - len(batch)))]
        image_scores, anomaly_maps = side.runtime.infer(np.stack([image.pixels for image in filled]))
        scores.append(np.array(image_scores[: len(batch)], np.float64))
        maps.append(np.array(anomaly_maps[: len(batch)], np.float64))
    return np.concatenate(scores), np.concatenate(maps)


def _largest(values: NDArray[np.float64]) -> float:
    return float(values.max()) if values.size else 0.0


def _largest_share(values: NDArray[np.float64], expected: NDArray[np.float64], typical: float, limit: float) -> float:
    unit = np.maximum(limit - typical, np.abs(expected - typical))
    return _largest(np.abs(values - expected) / unit)


def _verdicts(scores: NDArray[np.float64], limits: Calibration) -> list[Verdict]:
    return [
        "FAIL" if score > limits.reject_score else "REVIEW" if score > limits.review_score else "PASS"
        for score in scores
    ]


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks
