"""A million mutated Modbus frames against a running station: nothing may change, stop or stall.

    python -m benchmarks.fuzz_modbus [--frames 1000000] [--rtu-share 0.1] [--seed 1] [--json FILE]

The real daemon with the software camera and a small engine; a PLC that keeps the rules drives parts and compares the
control block after every burst of 100 frames. Over TCP three hostile clients join in from processes of their own; RTU
runs over a pair of ptys. Exits with an error when a rule is broken. Times are reported for parts beside the
frames (fuzzed) and for parts in between, with the hostile clients stopped (quiet); goal: the longest trigger_to_ack is
at most 50 ms above the longest quiet one. They are those of the machine as it is: other load shows in both.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.plc_link import percentiles
from tests.bench.modbus_fuzz import Report, rtu_campaign, tcp_campaign

QUIET_PARTS = 100


def as_json(report: Report) -> dict[str, Any]:
    """The figures; times in ms."""
    figures: dict[str, Any] = {
        "frames_of_the_writer": report.frames,
        "frames_of_hostile_clients": report.hostile_frames,
        "parts": report.parts,
        "frames_per_s": round((report.frames + report.hostile_frames) / report.seconds),
        "longest_heartbeat_ms": round(report.longest_beat_s * 1000),
    }
    for name in ("trigger_to_ack", "trigger_to_result"):
        figures[f"{name}_ms"] = {
            kind: percentiles(getattr(times, f"{name}_s"), 1e3)
            for kind, times in (("quiet", report.quiet), ("fuzzed", report.fuzzed))
        }
    figures["load_average"] = [round(load, 1) for load in os.getloadavg()]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--rtu-share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rtu_frames = round(arguments.frames * arguments.rtu_share)
    found = {}
    for name, campaign, frames in (
        ("tcp", tcp_campaign, arguments.frames - rtu_frames),
        ("rtu", rtu_campaign, rtu_frames),
    ):
        if not frames:
            continue
        with tempfile.TemporaryDirectory(prefix="fuzz-") as directory, campaign(Path(directory)) as running:
            found[name] = as_json(running.run(frames, quiet_parts=QUIET_PARTS, seed=arguments.seed))
        print(json.dumps({name: found[name]}, indent=2), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
