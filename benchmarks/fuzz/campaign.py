"""Runs targets in processes of their own, so that a crash of one is a result; goes on where it was ended.

Every input follows from seed, target and number: one that is reported can be tried again alone.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.fuzz.targets import TARGETS
from tests.bench.places import ROOT

CHUNK = 10_000
HANG_S = 1.0
"""Of the processor's time: how busy the machine is does not count."""
STUCK_S = 60.0
"""Of the clock: an input that waits for ever."""
MOST_PROBLEMS = 20
PLACE = struct.Struct("<Qdd")
"""Number of the input, when it began (monotonic), and the processor's time of its process by then, in s."""


@dataclass(slots=True)
class Result:
    """What came of the inputs of a target so far."""

    inputs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    longest_cpu_ms: float = 0.0
    seconds: float = 0.0


def input_of(seed: int, target: str, number: int) -> random.Random:
    """What an input is drawn from."""
    return random.Random(f"{seed}/{target}/{number}")


def work(target: str, first: int, last: int, seed: int, place: Path) -> Result:
    """Inputs `first` to `last` (not included), in this process; where it is stands in the file `place`."""
    result, outcomes = Result(), Counter[str]()
    with place.open("r+b") as file, mmap.mmap(file.fileno(), PLACE.size) as shared, TARGETS[target][0]() as one:
        for number in range(first, last):
            began = time.process_time()
            PLACE.pack_into(shared, 0, number, time.monotonic(), began)
            try:
                outcomes[one(input_of(seed, target, number))] += 1
            except Exception:  # noqa: BLE001  this is what is looked for
                outcomes["crash"] += 1
                if len(result.problems) < MOST_PROBLEMS:
                    result.problems.append(f"{target} {number}: {traceback.format_exc(limit=-2, chain=False).strip()}")
            took_s = time.process_time() - began
            result.longest_cpu_ms = max(result.longest_cpu_ms, round(took_s * 1000, 1))
            if took_s > HANG_S:
                outcomes["hang"] += 1
                result.problems.append(f"{target} {number}: {took_s:.1f} s of the processor")
            result.inputs += 1
    result.outcomes = dict(outcomes)
    return result


def run(
    inputs: int, seed: int, state: Path, show: Callable[[str], object], names: tuple[str, ...] = tuple(TARGETS)
) -> dict[str, Result]:
    """So many inputs in all, shared out as `TARGETS` says. What was done by an earlier run in `state` is kept."""
    whole = sum(TARGETS[name][1] for name in names)
    results = _load(state, seed)
    for name in names:
        wanted = round(inputs * TARGETS[name][1] / whole)
        result = results.setdefault(name, Result())
        while result.inputs < wanted:
            _chunk(name, result, min(CHUNK, wanted - result.inputs), seed, state.with_suffix(".place"))
            state.write_text(json.dumps({"seed": seed, "results": {key: asdict(of) for key, of in results.items()}}))
            show(f"{name}: {result.inputs} of {wanted}, {len(result.problems)} problems, {result.outcomes}")
    return {name: results[name] for name in names}


def _load(state: Path, seed: int) -> dict[str, Result]:
    if not state.exists():
        return {}
    kept = json.loads(state.read_text())
    if kept["seed"] != seed:
        raise ValueError(f"{state} is of seed {kept['seed']}: give that one, or remove the file")
    return {name: Result(**of) for name, of in kept["results"].items()}


def _chunk(name: str, result: Result, count: int, seed: int, place: Path) -> None:
    """Adds what the next inputs did; of a process that dies, the one that killed it is a problem."""
    first, began_s = result.inputs, time.monotonic()
    place.write_bytes(PLACE.pack(first, time.monotonic(), 0.0))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.fuzz",
            "--work",
            name,
            str(first),
            str(first + count),
            str(seed),
            str(place),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # decoders write a line for each damaged file
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    stuck = False
    output = b""
    while True:
        try:
            output = process.communicate(timeout=5.0)[0]
            break
        except subprocess.TimeoutExpired:
            _, since_s, cpu_s = PLACE.unpack(place.read_bytes()[: PLACE.size])
            if time.monotonic() - since_s > STUCK_S and not _is_starved(process.pid, cpu_s):
                stuck = True
                process.send_signal(signal.SIGKILL)
    result.seconds = round(result.seconds + time.monotonic() - began_s, 1)
    with contextlib.suppress(ValueError):
        done = Result(**json.loads(output))
        result.inputs += done.inputs
        result.outcomes = dict(Counter(result.outcomes) + Counter(done.outcomes))
        result.problems += done.problems
        result.longest_cpu_ms = max(result.longest_cpu_ms, done.longest_cpu_ms)
        return
    number, _, _ = PLACE.unpack(place.read_bytes()[: PLACE.size])
    what = f"waited for more than {STUCK_S:.0f} s" if stuck else f"ended its process with {process.returncode}"
    result.problems.append(f"{name} {number}: {what}")
    result.outcomes["of a process that ended"] = result.outcomes.get("of a process that ended", 0) + number + 1 - first
    result.inputs = number + 1


def _is_starved(pid: int, cpu_s: float) -> bool:
    """It would run if the machine let it: at the lowest priority a busy one may not for minutes.

    `cpu_s`: what its process had taken when the input began.
    """
    with contextlib.suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        taken_s = (int(fields[10]) + int(fields[11])) / os.sysconf("SC_CLK_TCK")
        return state == "R" and taken_s - cpu_s < 10 * HANG_S
    return False
