"""A million mutated inputs to all that comes from outside: nothing may crash, and none may take longer than a second.

    python -m benchmarks.fuzz [--inputs 1000000] [--target NAME ...] [--seed 1] [--state FILE] [--json FILE]

Archives of engines, image files, lines to the control socket, Modbus requests, configurations, and what a camera
says of its frames (by the software camera): each in a process of its own, beside the station's own code. A run that was
ended goes on where it was (`--state`). A problem names target and number of its input; `--try NAME NUMBER` takes that
one again. Exit code 1: there was one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.fuzz.campaign import input_of, run, work
from benchmarks.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", type=Path, help="keep here what was done, and go on from there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--try", nargs=2, metavar=("NAME", "NUMBER"), dest="one")
    parser.add_argument("--work", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, first, last, seed, place = options.work
        print(json.dumps(asdict(work(name, int(first), int(last), int(seed), Path(place)))))
        return 0
    if options.one:
        name, number = options.one
        with TARGETS[name][0]() as one:
            print(one(input_of(options.seed, name, int(number))))
        return 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        results = run(
            options.inputs,
            options.seed,
            options.state or Path(folder) / "state.json",
            lambda text: print(text, flush=True),
            tuple(options.target or TARGETS),
        )
    found = {
        "inputs": sum(result.inputs for result in results.values()),
        "seed": options.seed,
        "problems": sum(len(result.problems) for result in results.values()),
        "targets": {name: asdict(result) for name, result in results.items()},
    }
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
