"""Does TensorRT compute what ONNX Runtime computes on this GPU, how fast, and for how long? Production classes only.

    python benchmarks/gpu_check.py [--json benchmarks/results/gpu_check.json] [--soak 100000]
    python benchmarks/gpu_check.py --engine ENGINE      # an engine of yours; not compared with PyTorch

Per input size (256 and 448 px) it builds a plan, saves it and loads it again; compares it with ONNX Runtime at every
number of images from 1 to 8; compares the replay of CUDA graphs with plain enqueue, bit by bit; prepares frames of 5 MP
on the GPU and compares pixels and time with the processor's; refuses a damaged and a foreign plan; measures latency
with copies, beside PyTorch on the same GPU and the floor that its arithmetic and its memory set; and looks for memory
that grows.

Exit code 0: all checks passed; 1: one did not; 2: TensorRT cannot run here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.bundle.reading import Bundle, read_bundle
from engines.errors import EngineError, GpuUnusable, PlanUnusable
from engines.preprocess import SAME_PIXELS
from engines.runtimes.frame_check import check_frames
from engines.runtimes.names import Precision
from engines.runtimes.onnx import OnnxRuntime, runtime_name
from engines.runtimes.parity import Side, compare, parity_images
from engines.runtimes.protocol import Runtime
from engines.runtimes.tensorrt.device import Device
from engines.runtimes.tensorrt.libraries import load_libraries
from engines.runtimes.tensorrt.plan_key import MAX_BATCH, PlanKey
from engines.runtimes.tensorrt.plan_maker import TOLERANCES, MadePlan, PlanMaker
from engines.runtimes.tensorrt.plan_store import PlanState, PlanStore
from engines.runtimes.tensorrt.probe import Gpu, probe
from engines.runtimes.tensorrt.runtime import TensorRtRuntime

EXIT_FAILED, EXIT_NO_GPU = 1, 2
BATCHES = (1, 8)
WARM_UP = 50
GROWTH_BYTES = 16 << 20
"""What host or device may grow in a soak: allocators and other programs move by a few MB."""
COPY_BYTES = 256 << 20

Infer = Callable[[Any], Any]


@dataclass
class Report:
    """What was found; written as JSON."""

    machine: dict[str, Any]
    checks: list[dict[str, Any]] = field(default_factory=list)
    latency_ms: list[dict[str, Any]] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def check(self, name: str, passed: bool, detail: str) -> None:
        """Keeps and reports the outcome of a check."""
        self.checks.append({"check": name, "passed": bool(passed), "detail": detail})
        print(f"{'ok    ' if passed else 'FAILED'} {name}: {detail}", flush=True)

    @property
    def passed(self) -> bool:
        """Every check."""
        return all(check["passed"] for check in self.checks)


def percentiles(infer: Infer, images: NDArray[np.uint8], runs: int) -> dict[str, float]:
    """Milliseconds of a call, as its caller sees it."""
    times_ms = np.empty(runs)
    for run in range(-WARM_UP, runs):
        start_ns = time.perf_counter_ns()
        infer(images)
        if run >= 0:
            times_ms[run] = (time.perf_counter_ns() - start_ns) / 1e6
    p50, p99 = np.percentile(times_ms, (50, 99))
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4), "min": round(float(times_ms.min()), 4)}


def same_bits(one: Infer, other: Infer, images: Any) -> list[int]:
    """The numbers of images for which two runtimes give different bits."""
    different = []
    for count in range(1, MAX_BATCH + 1):
        pairs = zip(one(images[:count]), other(images[:count]), strict=True)
        if not all(a.tobytes() == b.tobytes() for a, b in pairs):
            different.append(count)
    return different


def refusals(bundle: Bundle, key: PlanKey) -> Iterator[tuple[str, bool, str]]:
    """In copies of the engine: a damaged plan, and one of another GPU. Yields (what, refused, what was said)."""
    for what, spoil in (("damaged plan", _damage), ("foreign plan", _exchange)):
        with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
            copy = Path(folder) / "engine"
            shutil.copytree(bundle.path, copy)
            wanted = spoil(PlanStore(copy), key)
            try:
                PlanStore(copy).read(key)
            except PlanUnusable as problem:
                yield what, wanted.value in str(problem), str(problem).replace(str(copy), "ENGINE")
            else:
                yield what, False, "it was read"


def _damage(store: PlanStore, key: PlanKey) -> PlanState:
    path = store.path / f"{key.name}.plan"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return PlanState.CORRUPT


def _exchange(store: PlanStore, key: PlanKey) -> PlanState:
    plan, record = store.read(key)
    shutil.rmtree(store.path)
    store.write(dataclasses.replace(key, gpu_name=f"not {key.gpu_name}"), plan, record.parity)
    return PlanState.FOREIGN


def soak(runtime: Runtime, images: NDArray[np.uint8], runs: int, free: Callable[[], int]) -> dict[str, Any]:
    """Inferences of 1 to 8 images, with the memory of this process and of the GPU before and after."""
    expected = [runtime.infer(images[:count]) for count in range(1, MAX_BATCH + 1)]
    for run in range(min(1000, runs)):
        runtime.infer(images[: run % MAX_BATCH + 1])
    host_bytes, device_bytes, start, wrong = _resident_bytes(), free(), time.monotonic(), 0
    for run in range(runs):
        count = run % MAX_BATCH
        found = runtime.infer(images[: count + 1])
        wrong += not all(np.array_equal(a, b) for a, b in zip(found, expected[count], strict=True))
    return {
        "inferences": runs,
        "seconds": round(time.monotonic() - start, 1),
        "host_growth_bytes": _resident_bytes() - host_bytes,
        "device_growth_bytes": device_bytes - free(),
        "different_answers": wrong,
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def floor_ms(count: int, work: dict[str, float], rates: dict[str, float]) -> float:
    """What `count` images take at least: arithmetic or memory, whichever is longer, and the copies.

    Args:
        count: images.
        work: operations and io_bytes for one image, weight_bytes once.
        rates: operations_per_s, memory_bytes_per_s, copy_bytes_per_s.
    """
    arithmetic_s = count * work["operations"] / rates["operations_per_s"]
    memory_s = (work["weight_bytes"] + count * work["io_bytes"]) / rates["memory_bytes_per_s"]
    return 1e3 * (max(arithmetic_s, memory_s) + count * work["io_bytes"] / rates["copy_bytes_per_s"])


def copy_rates(maker: PlanMaker) -> dict[str, float]:
    """Bytes per second: within the GPU (read and written), and from page-locked memory to it."""
    device = Device(maker.libraries.cuda, integrated=maker.gpu.integrated)
    with device.current():
        buffer = device.buffer((COPY_BYTES,), np.uint8)
        source, target = device.memory(COPY_BYTES), device.memory(COPY_BYTES)
        copies: tuple[Callable[[], None], ...] = (
            lambda: device.copy(int(target), int(source), COPY_BYTES),
            lambda: buffer.upload(COPY_BYTES),
        )
        copy_ms, upload_ms = (min(device.time_ms(copy) for _ in range(10)) for copy in copies)
        source.free()
        target.free()
        buffer.close()
        device.close()
    within = 2 * COPY_BYTES / (copy_ms / 1e3)
    # Where GPU and processor share their memory nothing is copied, and the GPU reads it as fast as any other.
    upload = within if maker.gpu.integrated else COPY_BYTES / (upload_ms / 1e3)
    return {"memory_bytes_per_s": within, "copy_bytes_per_s": upload}


def check_engine(report: Report, engine: Path, options: argparse.Namespace) -> PlanMaker:
    """Build, save, reload, compare, refuse, measure and soak one engine."""
    bundle = read_bundle(engine)
    manifest, name = bundle.manifest, f"{bundle.manifest.input.width} px"
    maker = PlanMaker(bundle, options.precision)
    start = time.monotonic()
    made = maker.make(threads=options.threads)
    record = made.record
    assert record.parity is not None  # `make` always compares
    built = f"{record.plan_bytes / 1e6:.1f} MB in {time.monotonic() - start:.0f} s; {record.parity}"
    report.check(f"{name}: built and saved", record.parity.passed, built)
    found = PlanMaker(read_bundle(engine), options.precision).find()
    report.check(f"{name}: found again", found.state is PlanState.READY, found.state.value)
    plan, _ = PlanStore(engine).read(maker.key)
    images = parity_images(bundle.golden, bundle.sample)
    pixels = np.stack([images[index % len(images)].pixels for index in range(MAX_BATCH)])
    with_frames = partial(
        TensorRtRuntime,
        plan,
        manifest.input,
        manifest.map,
        gpu=maker.gpu,
        libraries=maker.libraries,
        frame_plan=made.frame_plan,
    )
    plain = with_frames(graphs=False)
    reference = OnnxRuntime(bundle.model, manifest.input, manifest.map, threads=options.threads)
    with with_frames() as runtime, plain, reference:
        for count in range(1, MAX_BATCH + 1):
            parity = compare(
                Side(runtime_name(), reference),
                Side("TensorRT", runtime, count),
                images,
                manifest.calibration,
                TOLERANCES[options.precision],
            )
            report.check(f"{name}: ONNX Runtime, {count} at a time", parity.passed, str(parity))
        report.check(f"{name}: CUDA graphs", runtime.uses_graphs, "; ".join(runtime.notes) or "for 1 to 8 images")
        different = same_bits(runtime.infer, plain.infer, pixels)
        report.check(
            f"{name}: replay and enqueue", not different, f"differ for {different}" if different else "same bits"
        )
        for count in BATCHES:
            for kind, timed in (("TensorRT graphs", runtime), ("TensorRT enqueue", plain)):
                row = {"input_px": manifest.input.width, "batch": count, "what": f"{kind} {options.precision}"}
                row["device"] = round(min(timed.device_time_ms(count) for _ in range(WARM_UP)), 4)
                report.latency_ms.append(row | percentiles(timed.infer, pixels[:count], options.runs))
        check_frames_of(report, bundle, made, runtime, plain)
        result = soak(runtime, pixels, options.soak, lambda: free_bytes(maker))
        grown = max(result["host_growth_bytes"], result["device_growth_bytes"])
        passed = grown <= GROWTH_BYTES and not result["different_answers"]
        report.check(f"{name}: soak", passed, json.dumps(result))
    for what, refused, said in refusals(bundle, maker.key):
        report.check(f"{name}: {what} refused", refused, said)
    return maker


def check_frames_of(
    report: Report, bundle: Bundle, made: MadePlan, runtime: TensorRtRuntime, plain: TensorRtRuntime
) -> None:
    """Preparing frames on the GPU: the pixels, the replay, and whether it pays. Nothing for an engine without graph."""
    if bundle.frame is None:
        return
    name = f"{bundle.manifest.input.width} px"
    report.check(f"{name}: what prepares frames was built", made.frame_plan is not None, made.frames)
    if made.frame_plan is None:
        return
    check = check_frames(runtime, bundle, bundle.frame.shape)
    same = check.difference <= SAME_PIXELS
    report.check(f"{name}: pixels of frames", same, f"differ by at most {check.difference} grey levels")
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, bundle.frame.shape, np.uint8) for _ in range(MAX_BATCH)]
    different = same_bits(runtime.infer_frames, plain.infer_frames, frames)
    said = f"differ for {different}" if different else "same bits"
    report.check(f"{name}: replay and enqueue of frames", not different, said)
    size = "x".join(map(str, bundle.frame.shape))
    for what, p50 in (("the GPU", check.gpu_ms), ("the processor", check.processor_ms)):
        row = {"input_px": bundle.manifest.input.width, "batch": 1, "what": f"frame {size}, prepared by {what}"}
        report.latency_ms.append(row | {"p50": round(p50, 4)})


def free_bytes(maker: PlanMaker) -> int:
    """Memory of the GPU that nothing uses."""
    device = Device(maker.libraries.cuda, integrated=maker.gpu.integrated)
    with device.current():
        free = device.free_bytes()
        device.close()
    return free


def compare_with_torch(report: Report, made: Sequence[Any], maker: PlanMaker, options: argparse.Namespace) -> None:
    """The same networks in PyTorch, and the floor."""
    from benchmarks import gpu_engines  # noqa: PLC0415  needs the extra `train`

    where = gpu_engines.torch_on_gpu()
    if not where:
        report.notes.append("PyTorch here cannot use the GPU: no comparison with it, and no floor of arithmetic")
        return
    rates = copy_rates(maker) | {"operations_per_s": gpu_engines.peak_operations_per_s()}
    report.measured |= {"torch": where, **rates}
    for engine in made:
        bundle = read_bundle(engine.path)
        side, cells = bundle.manifest.input.width, bundle.manifest.map.width * bundle.manifest.map.height
        weights = len(bundle.variants["fp16"].model if options.precision == "fp16" else bundle.model)
        work = {"operations": engine.operations, "weight_bytes": weights, "io_bytes": side * side * 3 + 4 * cells + 4}
        pixels = gpu_engines.textures(side, max(BATCHES))
        runners = gpu_engines.on_torch(engine)
        for count in BATCHES:
            row = {"input_px": side, "batch": count}
            report.latency_ms.append(row | {"what": "floor", "p50": round(floor_ms(count, work, rates), 4)})
            for name, infer in runners.items():
                try:
                    report.latency_ms.append(row | {"what": name, **percentiles(infer, pixels[:count], options.runs)})
                except RuntimeError as problem:  # torch.compile needs a C compiler and Triton
                    report.notes.append(f"{name}, {side} px, {count}: {str(problem).splitlines()[0]}")


def show(report: Report) -> None:
    """The latencies as a table."""
    table = Table("input", "images", "what", "p50 ms", "p99 ms", "min ms", "GPU ms", title="copies included")
    for row in sorted(report.latency_ms, key=lambda row: (row["input_px"], row["batch"])):
        figures = [f"{row[key]:.3f}" if key in row else "" for key in ("p50", "p99", "min", "device")]
        table.add_row(f"{row['input_px']} px", str(row["batch"]), row["what"], *figures)
    console = Console(width=120)
    console.print(table)
    for note in report.notes:
        console.print(f"note: {note}")
    console.print("all checks passed" if report.passed else "A CHECK FAILED, see above")


def main() -> int:
    """See the exit codes above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, action="append", default=[], help="in place of engines made here")
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[256, 448])
    parser.add_argument("--precision", choices=get_args(Precision), default="fp16")
    parser.add_argument("--runs", type=int, default=2000, help="calls per latency (default 2000)")
    parser.add_argument("--soak", type=int, default=100_000, help="inferences per engine (default 100000)")
    parser.add_argument("--threads", type=int, default=2, help="of ONNX Runtime (default 2)")
    parser.add_argument("--json", type=Path, help="also write everything to this file")
    options = parser.parse_args()
    gpu = probe()
    try:
        libraries = load_libraries(gpu)
        assert isinstance(gpu, Gpu)  # load_libraries has refused all else
    except GpuUnusable as problem:
        print(f"gpu_check: TensorRT cannot run here: {problem}; see: station check --gpu", file=sys.stderr)
        return EXIT_NO_GPU
    report = Report({**dataclasses.asdict(gpu), "cuda_of_driver": gpu.driver, "tensorrt": libraries.tensorrt_version})
    report.machine |= {"python": platform.python_version(), "system": platform.platform()}
    report.measured["precision"] = options.precision
    print(json.dumps(report.machine), flush=True)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        try:
            _run(report, Path(folder), options)
        except EngineError as problem:
            report.check("run to the end", False, str(problem))
        finally:  # what was found before something unexpected is worth keeping
            show(report)
            if options.json:
                found = dataclasses.asdict(report) | {"passed": report.passed}
                options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if report.passed else EXIT_FAILED


def _run(report: Report, folder: Path, options: argparse.Namespace) -> None:
    made: list[Any] = []
    if not options.engine:
        from benchmarks.gpu_engines import make_engine  # noqa: PLC0415  needs the extra `train`

        made = [make_engine(folder / f"{side}", side) for side in options.sizes]
    makers = [
        check_engine(report, engine.resolve(), options) for engine in options.engine or [one.path for one in made]
    ]
    if made:
        compare_with_torch(report, made, makers[0], options)
    else:
        report.notes.append("engines from a folder are not compared with PyTorch")


if __name__ == "__main__":
    sys.exit(main())
