"""A station that starts without its camera."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.codes import OFFLINE_REASONS, OfflineReason
from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import wait_for

pytestmark = pytest.mark.system


def test_it_is_on_the_network_off_line_and_takes_the_camera_when_it_comes(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.scene.lose_device()
        bench.start(wait_ready=False)
        wait_for(lambda: bench.plc.status is not None and bench.plc.status.reject, "the PLC to read Reject", 120.0)
        wait_for(
            lambda: OFFLINE_REASONS[OfflineReason.CAMERA_DOWN].text in bench.status()["offline_reason"], "the reason"
        )
        assert "CameraNotFound" in bench.status()["cameras"]["top"]["detail"]
        assert not bench.plc.ready
        bench.scene.restore_device()
        bench.wait_ready()
        assert bench.part(good()).passed
        assert not bench.part(bad()).passed
        assert bench.terminate() == 0
        bench.assert_balanced(2)


def test_an_engine_that_is_refused_then_is_a_fault_and_no_loop_of_restarts(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.scene.lose_device()
        model = bench.engine_path / "model.onnx"
        content = model.read_bytes()
        model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        bench.start(wait_ready=False)
        wait_for(lambda: "started without a camera" in bench.log(), "the start", 120.0)
        bench.scene.restore_device()
        wait_for(lambda: "model.onnx" in bench.status()["error"], "the fault")
        assert not bench.plc.ready
        assert bench.terminate() == 0
