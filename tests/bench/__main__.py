"""A small station to try things on: `python -i -m tests.bench` starts it and gives `bench`, `good` and `bad`.

>>> bench.part(bad())
PlcResult(result=2, passed=False, reject=True, reason_code=10)
>>> bench.status()["counters"]

The station, its PLC and its folder are gone when the interpreter ends.
"""

from __future__ import annotations

import atexit
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.bench.bench import Bench, bad, good

__all__ = ["bad", "bench", "good"]

_closing = ExitStack()
atexit.register(_closing.close)
_folder = _closing.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
bench = _closing.enter_context(Bench(Path(_folder)))
bench.start()
print(f"bench: a station on port {bench.port}, its folder {_folder}")  # noqa: T201
