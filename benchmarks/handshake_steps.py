"""Millions of random steps through the handshake, each followed by a check of all that must hold.

    python benchmarks/handshake_steps.py [--steps 2000000] [--seed 0]

The model and its invariants are those of tests/line/handshake/test_handshake_machine.py; hypothesis is better at
finding the shortest way to a mistake, this goes further. After a mistake it prints the seed of
that walk and how to repeat it.
Exit code 0: every invariant held.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from station.results import Verdict
from tests.line.handshake.handshake_model import COILS, ONLINE, PAUSES_MS, HandshakeModel

STEPS_PER_WALK = 400
"""Then another one begins: the model remembers everything that ever was, and gets slower."""
SHOW_EVERY_S = 10.0
VERDICTS = list(Verdict)


def some_coils(rng: random.Random) -> dict[str, bool]:
    return {coil: rng.random() < 0.5 for coil in rng.sample(COILS, rng.randint(1, 3))}


def actions(model: HandshakeModel, rng: random.Random) -> dict[str, Callable[[], object]]:
    """What may happen now, each as likely as the other."""

    def coin() -> bool:
        return rng.random() < 0.5

    possible: dict[str, Callable[[], object]] = {
        "coils": lambda: model.write(**some_coils(rng)),
        "correct program": lambda: model.behave(acknowledge=coin(), buffer=coin()),
        "part id": lambda: model.latch(rng.randint(1, 0xFFFF_FFFF)),
        "command": lambda: model.command(rng.randint(0, 9)),
        "command ends": lambda: model.command_ends(rng.randint(1, 9), coin()),
        "station changes": lambda: model.change(online=coin(), can=coin(), fault=coin()),
        "station is well": lambda: model.set_status(ONLINE),
        "line trigger": model.line_trigger,
        "time": lambda: model.pause(rng.choice(PAUSES_MS)),
        "reset sequence": lambda: model.reset_sequence(rng.choice(VERDICTS)),
    }
    if model.exposing:
        possible["exposure ends"] = lambda: model.expose(rng.randrange(len(model.exposing)))
    if model.in_flight:
        possible["result"] = lambda: model.decide(rng.choice(model.in_flight), rng.choice(VERDICTS))
    if model.results:
        possible["second result"] = lambda: model.second_pass(rng.choice(sorted(model.results)))
    return possible


def walk(rng: random.Random, steps: int) -> Counter[str]:
    """Walks through one station; how often each action was taken. Raises AssertionError."""
    model, taken = HandshakeModel(), Counter[str]()
    for _ in range(steps):
        possible = actions(model, rng)
        name = rng.choice(list(possible))
        possible[name]()
        model.check()
        taken[name] += 1
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first walk; each walk has its own")
    options = parser.parse_args()
    taken, seed = Counter[str](), options.seed
    started_s = shown_s = time.monotonic()
    while (done := sum(taken.values())) < options.steps:
        try:
            taken += walk(random.Random(seed), min(STEPS_PER_WALK, options.steps - done))
        except AssertionError:
            print(f"after {done} steps an invariant failed; again: --seed {seed} --steps {STEPS_PER_WALK}")
            raise
        seed += 1
        if time.monotonic() - shown_s > SHOW_EVERY_S:
            shown_s = time.monotonic()
            print(f"{done} steps", flush=True)
    seconds = time.monotonic() - started_s
    print(f"{options.steps} steps in {seconds:.0f} s, {options.steps / seconds:.0f} steps/s: all invariants held")
    for name, count in taken.most_common():
        print(f"  {count:9d} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
