"""The graph that prepares frames on a GPU: the processor's pixels, of every size, within one grey level."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engines.bundle.location_spec import BlobLocation
from engines.bundle.manifest import InputSpec
from engines.bundle.reading import FrameGraph
from engines.errors import ExportError
from engines.location.location import WHOLE_IMAGE, Location
from engines.preprocess import SAME_PIXELS
from engines.training.release.frame_graph import check_frame_graph, make_frame_graph

SPEC = InputSpec(width=64, height=32)


def noise(width: int, height: int, *, grey: bool, seed: int = 0) -> NDArray[np.uint8]:
    """What shows every difference: no two neighbours are alike."""
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    fit=st.sampled_from(["contain", "stretch"]),
    grey=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_pixels_are_those_of_the_processor(width: int, height: int, fit: str, grey: bool, seed: int) -> None:
    spec = InputSpec.model_validate({"width": 64, "height": 32, "fit": fit})
    graph = make_frame_graph(width, height, spec, WHOLE_IMAGE, grey=grey)
    assert check_frame_graph(graph, [noise(width, height, grey=grey, seed=seed)], spec, WHOLE_IMAGE) <= SAME_PIXELS


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize(("width", "height"), [(256, 128), (255, 127)])
def test_halves_are_exact(width: int, height: int, grey: bool) -> None:
    """Where nothing is interpolated every bit is the same."""
    graph = make_frame_graph(width, height, SPEC, WHOLE_IMAGE, grey=grey)
    images = [noise(width, height, grey=grey, seed=seed) for seed in range(3)]
    assert check_frame_graph(graph, images, SPEC, WHOLE_IMAGE) == 0


def test_ignored_regions_are_filled() -> None:
    fill = noise(SPEC.width, SPEC.height, grey=False, seed=7)
    corner = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5))
    location = Location(ignore=(corner,), pictures={"fill": fill})
    images = [noise(100, 80, grey=True)]
    graph = make_frame_graph(100, 80, SPEC, location, grey=True)
    assert check_frame_graph(graph, images, SPEC, location) <= SAME_PIXELS
    with pytest.raises(ExportError, match="grey levels"):  # and the check sees when they are not
        check_frame_graph(make_frame_graph(100, 80, SPEC, WHOLE_IMAGE, grey=True), images, SPEC, location)


def test_a_part_that_has_to_be_found_has_no_such_graph() -> None:
    found = Location(BlobLocation(contrast=20, min_area_share=0.1, max_area_share=0.9, turn=True))
    with pytest.raises(ExportError, match=r"found in every image \(blob\)"):
        make_frame_graph(100, 80, SPEC, found, grey=True)


def test_another_picture_is_refused() -> None:
    model = onnx.load_from_string(make_frame_graph(100, 80, SPEC, WHOLE_IMAGE, grey=True).model)
    next(node for node in model.graph.node if node.op_type == "Floor").op_type = "Neg"
    with pytest.raises(ExportError, match=r"pixels differ by \d+ grey levels from the processor's, allowed 1"):
        check_frame_graph(
            FrameGraph(model.SerializeToString(), 100, 80, grey=True), [noise(100, 80, grey=True)], SPEC, WHOLE_IMAGE
        )
