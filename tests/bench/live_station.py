"""A real station, triggered by its PLC, that leaves the PLC's part to the tool under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from station.control import ControlError
from tests.bench.bench import Bench, good
from tests.bench.waiting import wait_for

ONLINE_S = 120.0


@contextmanager
def live_station(directory: Path, **settings: Any) -> Iterator[Bench]:
    """Runs `station run` with the software camera, which shows a good part, until it is online."""
    directory.mkdir(exist_ok=True)
    defaults: dict[str, Any] = {"camera__trigger": "plc"}
    defaults |= {"station__deadline_ms": 10_000, "camera__no_frame_ms": 10_000}  # on a busy machine a part takes longer
    bench = Bench(directory, **(defaults | settings))
    bench.scene.show(good())
    try:
        bench.start(wait_ready=False)
        process = bench.process
        assert process is not None
        wait_for(lambda: _is_online(bench) or process.poll() is not None, "the station to go online", ONLINE_S)
        assert process.poll() is None, "the station ended"
        yield bench
    except BaseException:
        print(bench.log()[-6000:])  # noqa: T201  what the station said, for whoever reads the failure
        raise
    finally:
        if bench.process is not None:
            bench.process.kill()
            bench.process.wait()
        bench.scene.close()


def _is_online(bench: Bench) -> bool:
    """The camera streams and the engine is warm."""
    try:
        return bool(bench.status()["online"])
    except ControlError:
        return False
