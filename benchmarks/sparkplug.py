"""Sparkplug B: a million random steps in front of a strict host, and a broker that is killed again and again.

    python -m benchmarks.sparkplug [--steps 1000000] [--kills 100] [--json FILE]

The steps are those of `tests/northbound/sparkplug/walk.py`: connections that break, hosts that come and go and say old
things, commands of garbage, rebirths, parts live and stored. Every message must be one that the specification allows,
and host and station must know the same. The kills are of Debian's mosquitto, while parts are told; every part must
arrive. Exit code 1 when one of it does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.broker import MosquittoBroker, mosquitto
from tests.bench.waiting import wait_for
from tests.northbound.sending import record, some
from tests.northbound.sparkplug.publishing import Bench, plant
from tests.northbound.sparkplug.walk import walk

WAYS = (("", 1), ("scada", 1), ("scada", 3))
PARTS_A_TURN = 50


def walks(steps: int) -> dict[str, object]:
    """Raises AssertionError where a rule is broken."""
    began, seen = time.process_time(), Counter[str]()
    for seed, (host, brokers) in enumerate(WAYS):
        seen += walk(seed=seed, steps=steps // len(WAYS), host=host, brokers=brokers)
    return {"steps": steps, **seen, "cpu_s": round(time.process_time() - began, 1)}


def kills(count: int) -> dict[str, object]:
    """Raises AssertionError where a part does not arrive."""
    told: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker, Bench(Path(name), broker) as station:
        for turn in range(count):
            told += until_killed(broker, station, turn)
            broker.start()
            print(f"\rbroker killed {turn + 1} times, {len(set(told))} parts arrived", end="", file=sys.stderr)
        with plant(broker) as host:
            wait_for(lambda: station.at == count * PARTS_A_TURN, "the cursor", 300)
            told += host.keys
    got = set(told)
    missing = {f"s1/{number}" for number in range(1, count * PARTS_A_TURN + 1)} - got
    assert not missing, f"{len(missing)} parts did not arrive: {sorted(missing)[:5]}"
    return {
        "kills": count, "parts": count * PARTS_A_TURN, "arrived": len(got), "told": len(told),
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def until_killed(broker: MosquittoBroker, station: Bench, turn: int) -> list[str]:
    """The parts that a host has heard before the broker is killed among them."""
    with plant(broker) as host:
        wait_for(lambda: host.host.device.online, "the births", 90)
        record(station.records, some(PARTS_A_TURN * turn + 1, PARTS_A_TURN * (turn + 1)))
        wait_for(lambda: len(host.keys) > turn % PARTS_A_TURN, "some parts", 90)
        broker.kill()
        return host.keys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        found = {"walk": walks(options.steps), "broker": kills(options.kills)}
    except AssertionError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    text = json.dumps(found, indent=2)
    print(f"\n{text}")
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
