"""A random walk of an edge node in front of the strict host; `benchmarks/sparkplug.py` walks a million steps."""

from __future__ import annotations

import random
from collections import Counter

from station.northbound.sparkplug.edge_node import Reading, State
from tests.northbound.sparkplug.node_bench import START_MS, Bench


def walk(  # noqa: PLR0912  one branch an event
    *, seed: int, steps: int, host: str = "", brokers: int = 1
) -> Counter[str]:
    """What was seen on the way. Raises Broken where a rule is broken, AssertionError where host and station differ."""
    draw = random.Random(seed)
    bench, seen = Bench(host=host, brokers=brokers), Counter[str]()
    told: dict[str, object] = {}
    online_ms = START_MS
    bench.do(bench.node.start(bench.time_ms))
    for step in range(steps):
        bench.after(draw.choice((0, 0.01, 0.2, 1, 5, 70)))
        state = bench.node.state
        match draw.randrange(14):
            case 0 if draw.random() < 0.3:
                bench.lose()
            case 1 | 2 if state is State.CONNECTING:
                bench.do(bench.node.connected())
            case 3 | 4 if state is State.WAITING:
                bench.do(bench.node.subscribed(bench.now_s, bench.time_ms))
            case 5:
                bench.do(bench.node.device_there(draw.random() < 0.8, bench.time_ms))
            case 6:
                bench.ask_rebirth()
            case 7:
                bench.hear(bench.names.of_node("NCMD"), draw.randbytes(draw.randrange(60)))
            case 8 if host:
                online_ms = draw.choice((online_ms, bench.time_ms, online_ms - 10))
                bench.state(draw.random() < 0.7, online_ms)
            case 9:
                value = draw.choice((True, False, None))
                told["Ready"] = value
                bench.do(bench.node.publish_device([Reading("Ready", value, bench.time_ms)], bench.time_ms))
            case 10:
                bench.do(bench.node.publish_node([Reading("Waiting", draw.randrange(5), bench.time_ms)], bench.time_ms))
            case 11 if draw.random() < 0.02:
                bench.do(bench.node.stop(bench.time_ms))
                bench.do(bench.node.start(bench.time_ms))
            case _:
                if bench.node.takes_parts:
                    stored = draw.random() < 0.3
                    bench.part(f"s/{step}", stored=stored)
                    seen["stored" if stored else "parts"] += 1
                    told |= {} if stored else {"Part/Key": f"s/{step}"}
        if bench.node.takes_parts:
            known = bench.host.device.values
            assert {name: known[name] for name in told} == told, "the host knows what the station has told"
        assert bench.host.node.online == (bench.node.state is State.ONLINE)
        if len(bench.said) > 1000:
            bench.said.clear()
        seen["births"] += bench.kinds.count("NBIRTH")
        bench.sent.clear()
    seen["connections"] = len(bench.bd_seqs)
    return seen
