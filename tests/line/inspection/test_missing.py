"""Heights that are missing are in no score and in no region; too many of them are a REVIEW, whatever the score says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.bundle.manifest import InputSpec, MapScore
from engines.inputs.depth import Heights, depth_picture
from engines.inputs.depth_spec import DepthSpec
from engines.location.picture_values import picture_values
from engines.preprocess import place
from station.codes import ReasonCode
from station.configuration import load as config
from station.line.inspection.inspector import Inspector
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import check_depth, load_inspector
from station.line.inspection.missing import without_missing
from station.line.inspection.shadow_handle import SentView
from station.line.inspection.shadow_process import judge as shadow_judges
from station.results import Frame, Inspection, Scores, Verdict
from tests.bench.engines.dented import SCALE_MM, SPEC, plate, write_depth_engine
from tests.bench.engines.small_engine import write_small_engine

WIDTH, HEIGHT = 160, 128
INPUT = InputSpec(width=160, height=128)
RULE = MapScore(hottest_share=0.02)
DEPTH = "[cameras.top.depth]\nrange_mm = 1.0\nslope_range_mm = 0.2\n"
CAMERA = '[cameras.top]\nproducer = "simtl"\npixel_format = "Coord3D_C16"\n'


def loaded(folder: Path, more: str = "", depth: str = DEPTH) -> Inspector:
    (folder / "station.toml").write_text(f'{CAMERA}{depth}[engine]\npath = "engine"\n{more}')
    station = config.load(folder / "station.toml")
    inspector = load_inspector(station.engine_path, station.settings, {"top": (HEIGHT, WIDTH, 3)})
    assert inspector is not None
    return inspector


def judged(inspector: Inspector, values: np.ndarray, spec: DepthSpec = SPEC) -> Inspection:
    picture = depth_picture(values, SCALE_MM, 0.0, 0, spec)
    frame = Frame("top", 1, picture, 0, 0, Heights(values, SCALE_MM, 0.0, 0, spec))
    (inspection,) = inspector.inspect([inspector.begin(frame)])
    return inspection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_depth_engine(tmp_path / "engine", WIDTH, HEIGHT)
    return tmp_path


def test_a_dent_fails_and_a_flat_part_passes(folder: Path) -> None:
    inspector = loaded(folder)
    for seed in range(4):
        assert judged(inspector, plate(WIDTH, HEIGHT, seed=seed)).decision.verdict is Verdict.PASS
        assert judged(inspector, plate(WIDTH, HEIGHT, seed=seed, missing=0.03)).decision.verdict is Verdict.PASS
        assert judged(inspector, plate(WIDTH, HEIGHT, seed=seed, dent_mm=0.6)).decision.verdict is Verdict.FAIL


def test_a_dent_under_missing_heights_is_not_scored_and_is_no_pass(folder: Path) -> None:
    inspector = loaded(folder)
    hidden = plate(WIDTH, HEIGHT, dent_mm=0.6)
    hidden[33:66, 33:66] = 0
    inspection = judged(inspector, hidden)
    assert inspection.scores is not None
    assert inspection.measurement is not None
    assert inspection.measurement.score < 0.5
    assert inspection.measurement.regions.count == 0
    assert inspection.decision.verdict is Verdict.REVIEW
    assert [reason.code for reason in inspection.decision.reasons] == [ReasonCode.HEIGHTS_MISSING]
    assert inspection.decision.reasons[0].detail == "5.3% of the pixels have no height > 5.0%"


def test_the_share_has_its_limit(folder: Path) -> None:
    half = plate(WIDTH, HEIGHT, missing=0.3)
    assert judged(loaded(folder), half).decision.code is ReasonCode.HEIGHTS_MISSING
    tolerant = loaded(folder, "[quality]\nmax_missing_share = 0.5\n")
    assert judged(tolerant, half).decision.verdict is Verdict.PASS
    strict = loaded(folder, '[quality]\nmax_missing_share = 0.1\naction = "fail"\n')
    assert judged(strict, half).decision.verdict is Verdict.FAIL


def test_where_next_to_nothing_is_left_the_score_is_an_error(folder: Path) -> None:
    nearly = np.zeros((HEIGHT, WIDTH), np.uint16)
    nearly[64, 80] = 10_000
    decision = judged(loaded(folder, "[quality]\nmax_missing_share = 0.999\n"), nearly).decision
    assert decision.verdict is Verdict.ERROR
    assert decision.code is ReasonCode.SCORE_NOT_FINITE


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ("[cameras.top.depth]\nrange_mm = 2.0\nslope_range_mm = 0.2\n", "makes pictures by"),
        ('[cameras.top.depth]\nrange_mm = 1.0\nslope_range_mm = 0.2\nreference = "camera"\n', "makes pictures by"),
    ],
)
def test_an_engine_holds_for_the_pictures_it_was_taught_with(folder: Path, depth: str, said: str) -> None:
    with pytest.raises(LimitsError, match=said):
        loaded(folder, depth=depth)


def test_an_engine_of_pictures_refuses_heights_and_the_other_way_round(tmp_path: Path) -> None:
    colours = np.full((HEIGHT, WIDTH, 3), (60, 64, 70), np.uint8)
    write_small_engine(tmp_path / "engine", width=WIDTH, height=HEIGHT, reference=colours)
    with pytest.raises(LimitsError, match="not made of heights"):
        loaded(tmp_path)
    with pytest.raises(LimitsError, match="no camera is a 3-D camera"):
        check_depth(SPEC.as_text, {"top": None})
    check_depth(SPEC.as_text, {"top": SPEC, "side": None})
    check_depth(None, {"top": None})


@given(seed=st.integers(0, 500), share=st.floats(0.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_leaving_places_out_never_raises_the_score(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.normal(0, 1, (16, 20)).astype(np.float32)
    missing = np.asarray(rng.random((8, 10)) < share).repeat(16, 0).repeat(16, 1)
    hottest = np.sort(cells.ravel())[-7:].astype(np.float64)
    scores = Scores(float(hottest.mean()), cells, 0, 1, cells, place(WIDTH, HEIGHT, INPUT))
    found = without_missing(scores, missing, INPUT, RULE)
    assert not found.image_score > scores.image_score
    counted = ~missing[4::8, 4::8]
    np.testing.assert_array_equal(found.anomaly_map[counted], cells[counted])
    assert (found.anomaly_map[~counted] == cells.min()).all()
    if counted.sum() < 7:
        assert np.isnan(found.image_score)


def test_a_score_that_does_not_follow_from_the_map_stays() -> None:
    cells = np.zeros((16, 20), np.float32)
    scores = Scores(3.0, cells, 0, 1, cells, place(WIDTH, HEIGHT, INPUT))
    assert without_missing(scores, np.ones((HEIGHT, WIDTH), bool), INPUT, None).image_score == 3.0


@pytest.mark.parametrize("colour", [False, True])
def test_quality_is_that_of_what_was_measured(colour: bool) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(90, 110, (100, 120, 3) if colour else (100, 120), np.uint8)
    missing = np.zeros((100, 120), bool)
    missing[:40] = True
    plain = picture_values(pixels)
    wrong = pixels.copy()
    wrong[missing] = 255
    seen = picture_values(wrong, missing)
    assert seen.mean_grey == pytest.approx(plain.mean_grey, rel=0.02)
    assert seen.saturated_share == 0.0
    assert picture_values(wrong).saturated_share == pytest.approx(0.4)
    # One row beside the missing ones is measured against what stands there.
    below = picture_values(wrong[41:])
    assert seen.sharpness == pytest.approx(below.sharpness, rel=2.0)


def test_a_shadow_leaves_the_same_places_out(folder: Path) -> None:
    """Or it would call a part good that the line holds for review, and rejects of filled places its own."""
    inspector = loaded(folder)
    hidden = plate(WIDTH, HEIGHT, dent_mm=0.6)
    hidden[33:66, 33:66] = 0
    for values in (plate(WIDTH, HEIGHT), plate(WIDTH, HEIGHT, missing=0.03), plate(WIDTH, HEIGHT, dent_mm=0.6), hidden):
        line = judged(inspector, values)
        memory = np.concatenate([np.zeros(7, np.uint8), line.frame.pixels.ravel()])
        said = shadow_judges(inspector, memory, [SentView.of(line.frame, 7)])
        assert line.measurement is not None
        assert (said.verdict, said.score) == (line.decision.verdict, line.measurement.score)
    assert said.verdict is Verdict.REVIEW


def test_a_shadow_of_other_cameras_knows_no_heights() -> None:
    assert SentView.of(Frame("side", 1, np.zeros((4, 4), np.uint8), 0, 0), 0).heights() is None
