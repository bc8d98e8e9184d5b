"""A lamp that loses 28 % on a good line: REVIEW with the lamp as its reason, and a warning of the process, at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle.reading import read_manifest
from station.codes import DRIFT_WARNINGS, ReasonCode
from station.configuration import load as config
from station.line.inspection.inspector import Inspector
from station.line.inspection.joining import WORST, join
from station.line.inspection.loading import load_inspector
from station.monitoring.diagnosis import Cause
from station.monitoring.seen import SeenPart, seen_of
from station.monitoring.watch import Promise, Watch
from station.results import Frame, InspectionRecord, Pixels, Verdict
from tests.bench.engines.pictures import SIZE_PX, ring
from tests.bench.engines.taught import DIRTY, GOOD, KNOWN_BAD, Taught, taught_on_rings
from tests.bench.sample_parts import PartMaker
from tests.monitoring.line import Line
from tests.monitoring.test_watch import SETTINGS


def inspector_of(taught: Taught, folder: Path, more: str = "") -> Inspector:
    file = folder / "station.toml"
    file.write_text(f'[cameras.top]\nproducer = "simtl"\n[engine]\npath = "{taught.result.engine}"\n{more}\n')
    station = config.load(file)
    found = load_inspector(station.engine_path, station.settings, {"top": (SIZE_PX, SIZE_PX, 3)})
    assert found is not None
    return found


def judged(inspector: Inspector, pictures: Sequence[Pixels]) -> list[InspectionRecord]:
    records = []
    for number, pixels in enumerate(pictures, start=1):
        views = tuple(inspector.inspect([inspector.begin(Frame("top", number, pixels, 0, 0))]))
        decision = join(views, WORST)
        records.append(replace(PartMaker().without_frame(number), views=views, decision=decision))
    return records


def darker(pixels: Pixels) -> Pixels:
    return np.asarray(np.rint(pixels * 0.72), np.uint8)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return taught_on_rings(tmp_path_factory)


@pytest.mark.system
def test_a_lamp_that_loses_28_percent_is_the_lamp_and_not_the_parts(taught: Taught, tmp_path: Path) -> None:
    inspector = inspector_of(taught, tmp_path)
    rings = [ring(seed) for seed in range(1000, 1055)]
    before, after = judged(inspector, rings), judged(inspector, [darker(pixels) for pixels in rings])
    assert sum(record.decision.verdict is Verdict.PASS for record in before) >= 45
    assert not any(reason.code in range(25, 28) for record in before for reason in record.decision.reasons)

    for record in after:
        assert record.decision.verdict is Verdict.REVIEW
        assert record.decision.code is ReasonCode.LIGHT_NOT_AS_TAUGHT
        assert "lamp" in str(record.decision.reasons[0])
    # What the engine says of them stands beside it: without the band these parts fail.
    plain = judged(inspector_of(taught, tmp_path, "[quality]\nas_taught = false"), [darker(ring(1000))])
    assert plain[0].decision.verdict is Verdict.FAIL

    watch = Watch(SETTINGS, Promise(0.01, 0.1))
    named = []
    for record in (*before, *after):
        part = seen_of(record)
        assert part is not None
        watch.add(part)
        named.append(None if watch.finding is None else watch.finding.cause)
    assert set(named[:55]) == {None}
    assert named[64:] == [Cause.LIGHT] * 46, "within ten parts, long before the watch has learned"
    assert Cause.LIGHT.value in DRIFT_WARNINGS, "so the bit Drift stands"
    for part in (part for record in before for part in [seen_of(record)] if part is not None):
        watch.add(part)
    assert watch.finding is None, "the lamp is as before"


@pytest.mark.system
def test_a_blurred_lens_is_the_lens(taught: Taught, tmp_path: Path) -> None:
    inspector = inspector_of(taught, tmp_path)
    blurred = [np.asarray(cv2.GaussianBlur(ring(seed), (0, 0), 2.0), np.uint8) for seed in range(1000, 1010)]
    for record in judged(inspector, blurred):
        assert record.decision.verdict is Verdict.REVIEW
        assert record.decision.code is ReasonCode.SHARPNESS_NOT_AS_TAUGHT
        assert "lens" in str(record.decision.reasons[0])


@pytest.mark.system
def test_a_real_defect_in_a_good_picture_fails_as_ever(taught: Taught, tmp_path: Path) -> None:
    inspector = inspector_of(taught, tmp_path)
    records = judged(inspector, [ring(seed, scratch=True) for seed in range(2000, 2010)])
    assert all(record.decision.verdict is Verdict.FAIL for record in records)


@pytest.mark.system
def test_what_a_person_sets_replaces_what_was_taught(taught: Taught, tmp_path: Path) -> None:
    inspector = inspector_of(taught, tmp_path, "[quality]\nmin_mean_grey = 10.0")
    record = judged(inspector, [darker(ring(1000))])[0]
    assert ReasonCode.LIGHT_NOT_AS_TAUGHT not in [reason.code for reason in record.decision.reasons]
    strict = inspector_of(taught, tmp_path, '[quality]\naction = "fail"')
    assert judged(strict, [darker(ring(1000))])[0].decision.verdict is Verdict.FAIL


@pytest.mark.system
def test_removed_pictures_do_not_set_the_band(taught: Taught) -> None:
    manifest = read_manifest(taught.result.engine)
    assert manifest.picture_bands is not None
    images = manifest.picture_bands.of("top").images
    assert images == manifest.training.image_count - manifest.training.removed_count
    assert images <= GOOD + len(DIRTY) + len(KNOWN_BAD) - len(KNOWN_BAD)


def part(*unlike: ReasonCode) -> SeenPart:
    base = next(Line().parts(1, np.random.default_rng(1)))
    return replace(base, views=tuple(replace(view, unlike=frozenset(unlike)) for view in base.views))


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (ReasonCode.LIGHT_NOT_AS_TAUGHT, Cause.LIGHT),
        (ReasonCode.SHARPNESS_NOT_AS_TAUGHT, Cause.LENS),
        (ReasonCode.PLACE_NOT_AS_TAUGHT, Cause.POSITION),
    ],
)
def test_pictures_unlike_those_taught_name_lamp_lens_and_position(code: ReasonCode, cause: Cause) -> None:
    watch = Watch(SETTINGS, Promise(0.01, 0.1))
    for _ in range(10):
        watch.add(part(code))
    assert watch.finding is not None
    assert watch.finding.cause is cause
    again = Watch(SETTINGS, Promise(0.01, 0.1))
    again.restore(watch.memory)
    for _ in range(48):
        again.add(part())
        assert again.finding is not None
    again.add(part())
    assert again.finding is None


def test_single_pictures_unlike_those_taught_are_no_change() -> None:
    watch = Watch(SETTINGS, Promise(0.01, 0.1))
    for number in range(3000):
        watch.add(part(*([ReasonCode.LIGHT_NOT_AS_TAUGHT] if number % 100 == 0 else [])))
    assert watch.finding is None
