"""A station with a 3-D camera: flat parts pass, dents fail, and nothing that was not measured passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.camera.images import read_image
from drivers.camera.simtl import height_scene
from drivers.imagefiles.heights import read_heights
from drivers.imagefiles.png_text import text_in
from engines.inputs.depth import depth_picture
from engines.inputs.depth_spec import MARK
from station.codes import ReasonCode
from station.reports.seen import Eyes
from station.results import Verdict
from tests.bench.bench import HEIGHT, WIDTH, Bench
from tests.bench.cameras import needs_heights
from tests.bench.engines.dented import SCALE_MM, SPEC, plate, write_depth_engine

pytestmark = [pytest.mark.system, needs_heights]
CAMERA: dict[str, Any] = {"channels": 3, "pixel_format": "Coord3D_C16"}
DEPTH: dict[str, Any] = {
    "camera.depth__range_mm": SPEC.range_mm,
    "camera.depth__slope_range_mm": SPEC.slope_range_mm,
}


def part(**how: Any) -> np.ndarray:
    return height_scene(plate(WIDTH, HEIGHT, **how))


def test_parts_with_dents_fail_and_flat_ones_pass(tmp_path: Path) -> None:
    with Bench(tmp_path, with_engine=False, cameras={"top": CAMERA}, **DEPTH) as bench:
        write_depth_engine(bench.engine_path, WIDTH, HEIGHT)
        bench.start()
        assert bench.part(part(seed=1)).passed
        assert bench.part(part(seed=2, missing=0.02)).passed
        dented = bench.part(part(seed=3, dent_mm=0.6))
        assert (dented.result, dented.reason_code) == (Verdict.FAIL, ReasonCode.SCORE_ABOVE_LIMIT)
        shiny = bench.part(part(seed=4, missing=0.2))
        assert (shiny.result, shiny.reason_code) == (Verdict.REVIEW, ReasonCode.HEIGHTS_MISSING)
        blind = bench.part(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        assert (blind.result, blind.passed, blind.reason_code) == (Verdict.ERROR, False, ReasonCode.NO_HEIGHT)
        assert bench.part(part(seed=5)).passed
        # Somebody changes the scale of the camera: the part is an error, and the camera is connected anew.
        bench.scene.change_coordinates(2 * SCALE_MM, 0.0)
        changed = bench.part(part(seed=6))
        assert (changed.result, changed.passed, changed.reason_code) == (Verdict.ERROR, False, ReasonCode.WRONG_SIZE)
        assert bench.terminate() == 0
        counts = bench.assert_balanced(7)
        assert (counts.passed, counts.failed, counts.review, counts.error) == (3, 1, 1, 2)
        (row,) = (row for row in bench.rows() if row.verdict == "FAIL")
        (view,) = row.views
        assert view.image_path is not None
        stored = tmp_path / "work" / "records" / view.image_path
        # The height can be had again, exactly, and the picture says how it was made of it.
        heights = read_heights(stored.with_suffix(".heights.png"))
        np.testing.assert_array_equal(heights.values, plate(WIDTH, HEIGHT, seed=3, dent_mm=0.6))
        assert (heights.scale_mm, heights.offset_mm, heights.invalid) == (SCALE_MM, 0.0, 0)
        assert text_in(stored.read_bytes(), MARK) == SPEC.as_text
        picture = read_image(stored)
        np.testing.assert_array_equal(picture, depth_picture(heights.values, SCALE_MM, 0.0, 0, SPEC))
        # People see a relief in grey.
        seen = Eyes(tmp_path / "work" / "records").look(row).views[0].image
        assert seen is not None
        assert (seen == seen[..., :1]).all()


def test_a_view_of_heights_joins_one_of_colours(tmp_path: Path) -> None:
    cameras = {
        "top": {**CAMERA, "tolerance_ms": 200.0},
        "side": {"channels": 3, "pixel_format": "RGB8", "tolerance_ms": 200.0},
    }
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    spot = grey.copy()
    spot[40:72, 40:72] = (250, 250, 250)
    with Bench(tmp_path, with_engine=False, cameras=cameras, station__deadline_ms=3000, **DEPTH) as bench:
        write_depth_engine(bench.engine_path, WIDTH, HEIGHT)
        bench.start()

        def result(top: np.ndarray, side: np.ndarray) -> Any:
            import time

            time.sleep(0.45)  # the pitch of the parts: more than twice the tolerance
            return bench.result(bench.send_views({"top": top, "side": side}))

        assert result(part(seed=1), grey).passed
        assert result(part(seed=2, dent_mm=0.6), grey).result == Verdict.FAIL
        assert result(part(seed=3), spot).result == Verdict.FAIL
        assert result(np.zeros((HEIGHT, WIDTH, 3), np.uint8), grey).result == Verdict.ERROR
        assert bench.terminate() == 0
        bench.assert_balanced(4)
