"""From the light barrier to the frame: how long the software camera and harvesters take, exposure included.

python benchmarks/camera_latency.py [--frames N] [--width PX] [--height PX] [--exposure-us US]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from harvesters.core import Harvester

from drivers.camera.simtl import Scene, producer_path


def latencies_ms(scene: Scene, frames: int, exposure_us: float) -> tuple[list[float], list[float]]:
    """Milliseconds from the pulse to the trigger in the camera, and from the pulse to the frame in this program."""
    to_trigger, to_frame = [], []
    harvester = Harvester()
    harvester.add_file(str(producer_path()))
    harvester.update()
    with harvester.create(0) as acquirer:
        nodes = acquirer.remote_device.node_map
        nodes.ExposureTime.value = exposure_us
        nodes.TriggerMode.value = "On"
        nodes.TriggerSource.value = "Line1"
        acquirer.start()
        for _ in range(frames):
            pulsed_ns = time.monotonic_ns()
            scene.pulse_line1()
            with acquirer.fetch(timeout=10) as buffer:
                received_ns = time.monotonic_ns()
                assert buffer.payload.components[0].data is not None
            to_trigger.append((scene.exposure().trigger_ns - pulsed_ns) / 1e6)
            to_frame.append((received_ns - pulsed_ns) / 1e6)
            time.sleep(0.005)
        acquirer.stop()
    harvester.reset()
    return to_trigger, to_frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--exposure-us", type=float, default=1000.0)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Scene(Path(folder) / "scene", arguments.width, arguments.height, 3) as scene,
    ):
        os.environ.update(scene.environment())
        to_trigger, to_frame = latencies_ms(scene, arguments.frames, arguments.exposure_us)
    print(
        f"{arguments.width} x {arguments.height} RGB8, exposure {arguments.exposure_us:g} us, {arguments.frames} frames"
    )
    for name, values in (("pulse to trigger", to_trigger), ("pulse to frame", to_frame)):
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        print(f"{name:>16}: p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms, max {max(values):.2f} ms")


if __name__ == "__main__":
    main()
