"""What goes where of that which cameras and the PLC post, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.camera.protocol import CameraInfo
from drivers.plc.protocol import PlcInputs
from station.codes import ReasonCode
from station.daemon.routing import Routing
from station.line.acquisition.messages import (
    AcquisitionMessage,
    CameraChanged,
    CameraState,
    EncoderMoved,
    FrameArrived,
    FrameFailed,
    OutputFailed,
)
from station.line.ejection.messages import ControlWritten, EncoderRead, OutputsReset
from station.line.signalling.messages import ClearFault, PlcWrote
from station.results import Frame

NOW_NS = 77
INPUTS = PlcInputs(encoder_now=5)


def routed(*, tracks: bool) -> tuple[Routing, list[tuple[str, object]]]:
    """A routing and all that goes through it, in order."""
    posted: list[tuple[str, object]] = []
    routing = Routing(clock=lambda: NOW_NS)
    routing.connect(
        lambda message: posted.append(("signalling", message)),
        (lambda message: posted.append(("ejection", message))) if tracks else None,
        lambda frame: posted.append(("inspection", frame)),
    )
    return routing, posted


def test_the_control_block_reaches_the_ejectors_first() -> None:
    routing, posted = routed(tracks=True)
    routing.plc_wrote(INPUTS)
    assert posted == [("ejection", ControlWritten(INPUTS, NOW_NS)), ("signalling", PlcWrote(INPUTS, NOW_NS))]


def test_without_tracking_the_control_block_goes_to_signalling_alone() -> None:
    routing, posted = routed(tracks=False)
    routing.plc_wrote(INPUTS)
    assert posted == [("signalling", PlcWrote(INPUTS, NOW_NS))]


@pytest.mark.parametrize(("tracks", "expected"), [(True, [("ejection", EncoderRead(9, 3))]), (False, [])])
def test_the_encoder_of_a_camera_is_for_the_ejectors_only(tracks: bool, expected: list[tuple[str, object]]) -> None:
    routing, posted = routed(tracks=tracks)
    routing.from_camera(EncoderMoved("top", 9, 3))
    assert posted == expected


def test_inspection_begins_with_a_frame_before_it_is_known_whose_it_is() -> None:
    routing, posted = routed(tracks=True)
    frame = Frame("top", 1, np.zeros((4, 4), np.uint8), 1, 2)
    arrived = FrameArrived(frame, 0)
    routing.from_camera(arrived)
    assert posted == [("inspection", frame), ("signalling", arrived)]


INFO = CameraInfo("simtl", "model", "serial", 64, 48, "Mono8")
REFUSED = FrameFailed("top", 0, ReasonCode.INCOMPLETE_FRAME, 1, 2, 0)


@pytest.mark.parametrize(
    ("message", "outputs_reset"),
    [
        (CameraChanged("top", CameraState.STREAMING, INFO, ""), True),
        (CameraChanged("top", CameraState.DOWN, None, "unplugged"), False),
        (CameraChanged("top", CameraState.FAILED, None, "no such camera"), False),
        (REFUSED, False),
        (OutputFailed("top", "Line2", True, "refused"), False),
    ],
)
def test_a_camera_that_connects_has_its_outputs_set_again(message: AcquisitionMessage, outputs_reset: bool) -> None:
    routing, posted = routed(tracks=True)
    routing.from_camera(message)
    assert posted[0] == ("signalling", message)
    assert posted[1:] == ([("ejection", OutputsReset())] if outputs_reset else [])


def test_what_the_stages_post_goes_to_signalling() -> None:
    routing, posted = routed(tracks=True)
    routing.post(ClearFault())
    assert posted == [("signalling", ClearFault())]
