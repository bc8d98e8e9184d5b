"""The process of a shadow: loads a candidate on the processor with the limits of the line, and judges what it is sent.

It never writes a file and opens no socket; it ends when the daemon does.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import cv2
import numpy as np

from engines.errors import EngineError
from station.line.inspection.inspector import Inspector
from station.line.inspection.joining import join
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import load_inspector
from station.line.inspection.shadow_handle import Ready, SentView, ShadowOrder, ShadowSaid
from station.results import Frame, Pixels, Verdict, score_of

_PR_SET_PDEATHSIG = 1
ON_PROCESSOR = "it is a shadow: the GPU belongs to the line"


def load(order: ShadowOrder) -> Inspector | None:
    """The engine as the line would judge with it, on the processor. Raises EngineError, LimitsError."""
    section = order.settings.engine
    runtime = "onnx" if section.runtime == "tensorrt" else section.runtime
    engine = section.model_copy(update={"runtime": runtime})
    settings = order.settings.model_copy(update={"engine": engine})
    return load_inspector(
        order.engine, settings, order.frame_shapes, trust=order.trust, threads=order.threads, instead=ON_PROCESSOR
    )


def judge(inspector: Inspector, memory: Pixels, views: Sequence[SentView]) -> ShadowSaid:
    """Whatever the engine raises is an ERROR of this part."""
    began_ns = time.monotonic_ns()
    frames = [
        Frame(
            view.camera,
            view.frame_id,
            memory[view.offset : view.offset + int(np.prod(view.shape))].reshape(view.shape),
            began_ns,
            began_ns,
            view.heights(),
        )
        for view in views
    ]
    try:
        inspections = inspector.inspect([inspector.begin(frame) for frame in frames])
        decision, score = join(inspections, inspector.joining), score_of(inspections)
    except Exception as problem:  # noqa: BLE001  stage boundary: what an engine may raise is not known
        took_ms = (time.monotonic_ns() - began_ns) / 1e6
        return ShadowSaid(Verdict.ERROR, None, f"{type(problem).__name__}: {problem}"[:300], took_ms)
    reasons = "; ".join(map(str, decision.reasons))[:300]
    return ShadowSaid(decision.verdict, score, reasons, (time.monotonic_ns() - began_ns) / 1e6)


def main(arguments: Sequence[str]) -> int:
    """`arguments`: the descriptors of the connection and of the memory, and the process of the daemon."""
    link, memory_fd, parent = map(int, arguments)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):  # a stop of the daemon ends it in order
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(1)
    connection = Connection(link)
    mapped = mmap.mmap(memory_fd, os.fstat(memory_fd).st_size, prot=mmap.PROT_READ)
    memory: Pixels = np.frombuffer(mapped, np.uint8)
    try:
        order: ShadowOrder = connection.recv()
        try:
            inspector = load(order)
        except (EngineError, LimitsError) as problem:
            connection.send(f"the engine cannot be used: {problem}")
            return 1
        if inspector is None:
            connection.send(f"there is no engine at {order.engine}")
            return 1
        connection.send(Ready(inspector.engine_id))
        while True:
            connection.send(judge(inspector, memory, connection.recv()))
    except (EOFError, ConnectionError):
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
