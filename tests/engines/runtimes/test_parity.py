"""The parity gate: the same passes, what differs is refused with the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from engines.bundle.reading import Bundle, read_bundle
from engines.errors import ParityRefused
from engines.parity_report import FLOAT32, HALF, INT8, ParityReport, Tolerance
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.parity import ParityImage, Side, compare, parity_images, rank_correlation, require_parity
from tests.bench.engines.small_engine import write_small_engine

HEIGHT, WIDTH = 48, 64
BACKGROUND = 64


class Changed(OnnxRuntime):
    """Computes and then changes what came out."""

    score_factor = 1.0
    score_offset = 0.0
    map_offset = 0.0
    broken_from: int | None = None
    """From this image on the scores are not numbers."""
    batches: list[int]

    def infer(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, maps = super().infer(images)
        self.batches = [*getattr(self, "batches", []), len(images)]
        if self.broken_from is not None and sum(self.batches) > self.broken_from:
            scores = scores * np.nan
        return scores * self.score_factor + self.score_offset, maps + self.map_offset


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Its limits: REVIEW above 30, FAIL above 40 grey levels, a region from 30 on; the typical part scores 0."""
    return read_bundle(write_small_engine(tmp_path_factory.mktemp("e") / "engine", width=WIDTH, height=HEIGHT))


def shifted(grey_levels: float) -> np.ndarray:
    """An image with this score."""
    return np.full((HEIGHT, WIDTH, 3), BACKGROUND + grey_levels, np.uint8)


def report_of(bundle: Bundle, tolerance: Tolerance = FLOAT32, batch_size: int = 1, **changes: float) -> ParityReport:
    """The golden images (scores 0 and 127) and ten more that score 2 to 20, through a changed runtime."""
    images = parity_images(bundle.golden, [shifted(2 * step) for step in range(1, 11)])
    parts = bundle.model, bundle.manifest.input, bundle.manifest.map
    with OnnxRuntime(*parts, threads=1) as reference, Changed(*parts, threads=1) as candidate:
        for name, value in changes.items():
            setattr(candidate, name, value)
        sides = Side("reference", reference), Side("candidate", candidate, batch_size)
        return compare(*sides, images, bundle.manifest.calibration, tolerance)


def test_the_same_runtime_passes_with_nothing_changed(bundle: Bundle) -> None:
    report = report_of(bundle)
    assert report.passed
    assert (report.images, report.golden, report.not_finite) == (12, 2, 0)
    assert (report.max_score_difference, report.max_map_difference) == (0.0, 0.0)
    assert report.rank_correlation == 1.0
    assert report.changed == ()
    require_parity(report, "never said")
    assert "passed" in report.text()


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_batches_are_filled_up_and_change_nothing(bundle: Bundle, batch_size: int) -> None:
    assert report_of(bundle, batch_size=batch_size) == report_of(bundle)


def test_score_differences_are_shares_of_the_way_to_the_limit(bundle: Bundle) -> None:
    report = report_of(bundle, score_offset=1.0)
    assert report.max_score_difference == pytest.approx(1.0, abs=1e-4)
    assert report.score_share == pytest.approx(1 / 40, rel=1e-3)
    assert report.problems == ("a score by 1, 2.50% of the way to the reject limit, allowed 0.50%",)
    assert report_of(bundle, HALF, score_offset=1.0).passed


def test_what_is_far_beyond_the_limit_is_measured_by_its_own_distance(bundle: Bundle) -> None:
    """One percent of a score of 127 is more than one of 40, and as little."""
    report = report_of(bundle, score_factor=1.01)
    assert report.max_score_difference > 1.0
    assert report.score_share == pytest.approx(0.01, rel=1e-2)


def test_map_differences_are_refused(bundle: Bundle) -> None:
    report = report_of(bundle, map_offset=3.0)
    assert report.max_score_difference == 0.0
    assert report.map_share == pytest.approx(0.1, rel=1e-2)
    assert report.problems == ("a cell of the map by 3, 10.00% of the way to a region, allowed 1.00%",)


def test_a_golden_image_must_keep_its_verdict_whatever_is_allowed(bundle: Bundle) -> None:
    lenient = Tolerance(score_share=10, map_share=10, rank_correlation=-1, changed_share=1)
    report = report_of(bundle, lenient, score_factor=0.25)
    assert [(change.image, change.reference, change.candidate) for change in report.changed] == [
        ("golden/spot", "FAIL", "REVIEW")
    ]
    assert report.problems == ("the verdict of golden/spot FAIL -> REVIEW",)


def test_changed_verdicts_of_other_images_are_counted(bundle: Bundle) -> None:
    """Scores 2 to 20 become 14 to 32: the last is REVIEW now, and the golden one that scored 0 stays PASS."""
    allowed = INT8.model_copy(update={"score_share": 1.0})
    report = report_of(bundle, allowed, score_offset=12.0)
    assert [change.image for change in report.changed] == ["sample/09"]
    assert report.problems == ("1 of 10 other verdicts, allowed 2% (sample/09 PASS -> REVIEW)",)
    assert report_of(bundle, allowed.model_copy(update={"changed_share": 0.1}), score_offset=12.0).passed


def test_another_order_is_refused(bundle: Bundle) -> None:
    lenient = Tolerance(score_share=2.01, map_share=10, rank_correlation=0.9, changed_share=1)
    report = report_of(bundle, lenient, score_factor=-1.0)
    assert report.rank_correlation == pytest.approx(-1.0)
    assert "the order of the images: correlation -1.0000, at least 0.9 is wanted" in report.problems


def test_scores_that_are_not_numbers_never_pass(bundle: Bundle) -> None:
    report = report_of(bundle, INT8, broken_from=9)
    assert report.not_finite == 3
    assert report.problems == ("3 images with scores that are not finite",)
    assert not report_of(bundle, INT8, broken_from=0).passed


def test_the_refusal_has_the_numbers_and_what_to_do(bundle: Bundle) -> None:
    report = report_of(bundle, score_offset=1.0)
    with pytest.raises(ParityRefused, match=r"candidate differs from reference on 12 images: a score by 1, 2\.50%.*"
                       r"allowed 0\.50%; build it again") as refused:  # fmt: skip
        require_parity(report, "build it again")
    assert refused.value.report is report
    text = report.text()
    assert "REFUSED" in text
    assert "2.50% of the way to the reject limit (allowed 0.50%)" in text
    assert "12, of them 2 golden" in text


def test_a_report_survives_json_and_cannot_be_made_to_pass(bundle: Bundle) -> None:
    report = report_of(bundle, score_factor=0.25)
    assert ParityReport.model_validate_json(report.model_dump_json()) == report
    content = json.loads(report.model_dump_json())
    with pytest.raises(ValidationError, match="passed is True, but what is over tolerance"):
        ParityReport.model_validate_json(json.dumps(content | {"passed": True}))


def test_no_images_no_comparison(bundle: Bundle) -> None:
    with (
        OnnxRuntime(bundle.model, bundle.manifest.input, bundle.manifest.map, threads=1) as runtime,
        pytest.raises(ValueError, match="no images"),
    ):
        compare(Side("a", runtime), Side("b", runtime), [], bundle.manifest.calibration, FLOAT32)


def test_images_are_named_after_their_files(tmp_path: Path, bundle: Bundle) -> None:
    named = parity_images(bundle.golden, [shifted(1)])
    assert [image.name for image in named] == ["golden/reference", "golden/spot", "sample/00"]
    assert isinstance(named[0], ParityImage)


different = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12, unique=True)
values = st.lists(st.integers(-5, 5).map(float), min_size=12, max_size=12)


@given(different, values)
def test_rank_correlation_is_spearmans(scores: list[float], others: list[float]) -> None:
    first, second = np.array(scores), np.array(others[: len(scores)])
    found = rank_correlation(first, second)
    if len(set(second)) == 1:
        assert found == 0.0
    else:
        assert found == pytest.approx(stats.spearmanr(first, second).statistic)


def test_images_that_the_tolerance_cannot_tell_apart_have_no_order() -> None:
    first = np.array([1.0, 1.1, 1.2, 5.0])
    assert rank_correlation(first, np.array([1.2, 1.1, 1.0, 5.0])) == pytest.approx(0.2)
    assert rank_correlation(first, np.array([1.2, 1.1, 1.0, 5.0]), 0.5) == pytest.approx(1.0)
    assert rank_correlation(first, np.array([6.0, 6.0, 6.0, 5.0]), 0.5) == pytest.approx(-1.0)
    assert rank_correlation(first, first, 4.0) is None
