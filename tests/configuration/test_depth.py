"""The section of a 3-D camera, and what does not go with it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engines.inputs.depth_spec import DepthSpec
from station.configuration.cameras import CameraSection

DEPTH = {"range_mm": 0.5, "slope_range_mm": 0.05}


def camera(**changes: Any) -> CameraSection:
    given = {"producer": "simtl", "pixel_format": "Coord3D_C16", "depth": DEPTH, **changes}
    return CameraSection.model_validate(given)


def test_the_section_says_how_heights_become_a_picture() -> None:
    section = camera(depth={**DEPTH, "channels": ["height", "slope_x", "intensity"], "scale_mm": 0.01})
    assert section.depth_spec == DepthSpec(0.5, 0.05, ("height", "slope_x", "intensity"))
    assert section.depth is not None
    assert section.depth.settings.needs_intensity
    assert section.depth.settings.scale_mm == 0.01
    assert CameraSection(producer="simtl").depth_spec is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": None}, "needs the section `depth`"),
        ({"pixel_format": "Mono8"}, 'needs pixel_format = "Coord3D_C16"'),
        ({"pixel_format": ""}, 'needs pixel_format = "Coord3D_C16"'),
        ({"pixel_format": "Coord3D_C32f"}, "similar: Coord3D_C16"),
        ({"significant_bits": 12}, "of heights all 16 bits count"),
        ({"driver": "folder", "folder": "f", "trigger": "plc", "pixel_format": "Mono8"}, "Coord3D_C16, or none"),
        ({"depth": {"range_mm": 1.0}}, "slope_range_mm"),
        ({"depth": {**DEPTH, "range_mm": 0}}, "greater than 0"),
        ({"depth": {**DEPTH, "channels": []}}, "allowed are 1 to 3"),
        ({"depth": {**DEPTH, "channels": ["height", "height"]}}, "different"),
        ({"depth": {**DEPTH, "channels": ["normal"]}}, "slope_x"),
        ({"depth": {**DEPTH, "reference": "best"}}, "camera"),
        ({"depth": {**DEPTH, "invalid_value": 65536}}, "65535"),
        ({"depth": {**DEPTH, "rnage_mm": 1}}, "rnage_mm"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        camera(**changes)
