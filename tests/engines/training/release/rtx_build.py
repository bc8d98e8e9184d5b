"""Builds a graph with the builder of TensorRT-RTX, which needs no GPU, and prints what came of it as a line of JSON.

    python -m tests.engines.training.release.rtx_build GRAPH.onnx HEIGHT WIDTH SM75 SM86 SM89 SM120

This is TensorRT for RTX, a product of its own, and not the TensorRT that a station runs: the ONNX parser is nearly the
same, the builder is another, and its plans run on no Jetson and on no data-centre GPU. In a process of its own, because
the libraries keep memory and because a crash in them must not end the tests.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BATCH_SIZES = (1, 4, 8)
"""Smallest, usual, largest."""


@dataclass(frozen=True)
class Build:
    """A graph built for one compute capability."""

    builder: str
    target: str
    plan_bytes: int
    seconds: float
    problems: tuple[str, ...]
    """What parser and builder complained of; no plan then."""


def main(graph: Path, height: int, width: int, targets: list[str]) -> None:
    import tensorrt_rtx_bindings as trt

    class Logger(trt.ILogger):
        """Keeps errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    logger = Logger()
    builder = trt.Builder(logger)
    builder.max_threads = 1
    for target in targets:
        started = time.monotonic()
        # Precision is what the graph says, never what the builder would choose.
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        problems = []
        plan = None
        if not parser.parse(graph.read_bytes()):
            problems = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        else:
            config = builder.create_builder_config()
            config.num_compute_capabilities = 1
            if not config.set_compute_capability(getattr(trt.ComputeCapability, target), 0):
                problems.append(f"the builder does not take {target}")
            if -1 in network.get_input(0).shape:
                profile = builder.create_optimization_profile()
                profile.set_shape("image", *((size, height, width, 3) for size in BATCH_SIZES))
                config.add_optimization_profile(profile)
            plan = builder.build_serialized_network(network, config) if not problems else None
        if plan is None:
            problems += logger.errors or ["no plan and no reason"]
        logger.errors.clear()
        size = 0 if plan is None else plan.nbytes
        name = f"TensorRT-RTX {trt.__version__}"
        built = Build(name, target, size, time.monotonic() - started, tuple(problems))
        print(json.dumps(asdict(built)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
