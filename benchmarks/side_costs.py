"""What the station's own steps cost the line, per part: quality, measurement, decision, journal, hand-over of records.

python -m benchmarks.side_costs
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from station.codes import ReasonCode
from station.line.inspection.decision import Limits, QualityLimits, RegionLimits, Zone, decide
from station.line.inspection.frame_quality import frame_quality
from station.line.inspection.measurement import measure
from station.line.recording.journal import Journal
from station.line.recording.stage import Recorder, RecorderSettings
from station.results import Pixels, Verdict
from tests.bench.sample_parts import PartMaker, new_part

QUARTER = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))


def report(name: str, step: Callable[[int], object], repeats: int, pause_s: float = 0.0) -> None:
    """Calls `step(1..repeats)` and prints quantiles in microseconds."""
    times_ns = []
    for number in range(1, repeats + 1):
        start_ns = time.perf_counter_ns()
        step(number)
        times_ns.append(time.perf_counter_ns() - start_ns)
        time.sleep(pause_s)
    p50, p99, worst = np.percentile(np.array(times_ns) / 1e3, [50, 99, 100])
    print(f"{name:44} p50 {p50:9.1f}   p99 {p99:9.1f}   max {worst:9.1f} us")


def smooth_noisy(height: int, width: int) -> Pixels:
    """RGB that compresses like a camera image."""
    y, x = np.mgrid[:height, :width]
    grey = 120 + 60 * np.sin(x / 37) + 40 * np.cos(y / 23)
    noise = np.random.default_rng(0).normal(0, 2, (height, width, 3))
    return np.clip(grey[..., None] + noise, 0, 255).astype(np.uint8)


def _quality(pixels: NDArray[np.uint8], _turn: int) -> object:
    return frame_quality(pixels)


def _regions(anomaly_map: NDArray[np.float32], _turn: int) -> object:
    return measure(anomaly_map, (448, 448), 0.9, 0.1)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    small, large = smooth_noisy(448, 448), smooth_noisy(2048, 2448)
    for name, pixels in (("448 x 448", small), ("2448 x 2048", large)):
        report(f"frame_quality {name} RGB", partial(_quality, pixels), 200)
    for cells in (56, 112, 224):
        quiet = np.zeros((cells, cells), np.float32)
        blob = quiet.copy()
        blob[cells // 4 : cells // 3, cells // 4 : cells // 2] = 1.0
        noise = np.random.default_rng(0).random((cells, cells), np.float32)
        for name, anomaly_map in (("quiet", quiet), ("one region", blob), ("more regions than listed", noise)):
            report(f"measure {cells} x {cells}, {name}", partial(_regions, anomaly_map), 100)
    maker = PartMaker(pixels=lambda _: small)
    (inspection,) = maker.inspected(1, Verdict.FAIL).views
    assert inspection.measurement is not None
    measurement = inspection.measurement
    limits = Limits(
        0.4, 0.3, RegionLimits(fail_area_mm2=1.0), (Zone("rim", QUARTER),), QualityLimits(min_mean_grey=5.0)
    )
    report("decide, one region and one zone", lambda _: decide(measurement, limits), 5000)
    with tempfile.TemporaryDirectory() as folder:
        with Journal(Path(folder) / "journal.bin", "s1", slots=10_000) as journal:
            report("journal open_part (with making the part)", lambda n: journal.open_part(new_part(n)), 10_000)
            passed = (Verdict.PASS, ReasonCode.NONE)
            report("journal decide_part", lambda n: journal.decide_part(n, *passed), 10_000)
            report("journal commit", lambda n: journal.commit([("s1", n)]), 10_000)
        for verdict in (Verdict.PASS, Verdict.FAIL):
            recorder = Recorder(RecorderSettings(Path(folder) / verdict.name, min_free_mb=0), "s1")
            recorder.start()
            records = [maker.inspected(number, verdict) for number in range(1, 201)]
            report(f"record() {verdict.name}", lambda n: recorder.record(records[n - 1]), 200, pause_s=0.02)  # noqa: B023
            recorder.stop(60)


if __name__ == "__main__":
    main()
