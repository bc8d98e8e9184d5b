"""Runs in an environment with TensorRT for RTX: the real `build_plan` with the real builder of that product.

`python -m tests.engines.runtimes.tensorrt.rtx_session CASE FOLDER` prints what happened as JSON. RTX builds for
named compute capabilities and needs no GPU; its plans are not those of TensorRT, and none is run here.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import tensorrt_rtx_bindings as tensorrt_rtx

from engines.errors import RuntimeFailure
from engines.runtimes.tensorrt.builder import BuildProgress, build_plan
from engines.runtimes.tensorrt.plan_key import ONE_IMAGE, SEVERAL_IMAGES, Profile


def for_sm86(config: Any) -> None:
    """Of a GPU that this computer need not have."""
    config.num_compute_capabilities = 1
    config.set_compute_capability(tensorrt_rtx.ComputeCapability.SM86, 0)


def build(
    model: bytes,
    profile: Profile = SEVERAL_IMAGES,
    *,
    fail_at: str = "",
    cancel: bool = False,
    cache: bytes = b"",
) -> dict[str, Any]:
    """One build and its progress."""
    steps: list[BuildProgress] = []
    cancelled = threading.Event()

    def progress(step: BuildProgress) -> None:
        steps.append(step)
        if cancel:
            cancelled.set()
        if fail_at and step.phase.startswith(fail_at):
            raise BrokenPipeError("nobody listens")

    outcome: dict[str, Any] = {}
    try:
        built = build_plan(
            tensorrt_rtx,
            model,
            profile,
            timing_cache=cache,
            on_progress=progress,
            cancelled=cancelled,
            adjust=for_sm86,
        )
        outcome |= {"plan_bytes": len(built.plan), "cache_bytes": len(built.timing_cache)}
    except (RuntimeFailure, BrokenPipeError) as problem:
        outcome |= {"error": type(problem).__name__, "message": str(problem)}
    phases = sorted({step.phase for step in steps})
    within = all(0 <= step.done <= step.total for step in steps)
    return {**outcome, "phases": phases, "within": within, "steps": len(steps)}


def main(case: str, folder: Path) -> dict[str, Any]:
    """One of the cases of the test."""
    model = (folder / "model.onnx").read_bytes()
    match case:
        case "builds":
            return build(model)
        case "foreign cache":
            return build(model, cache=b"not a cache of this GPU")
        case "cancelled":
            return build(model, cancel=True)
        case "one image":
            return build((folder / "fixed batch.onnx").read_bytes(), ONE_IMAGE)
        case "nobody listens":
            return build(model, fail_at=build(model)["phases"][0])
        case _:
            return build((folder / f"{case}.onnx").read_bytes())


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]))) + "\n")
