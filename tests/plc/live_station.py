"""A real station, triggered by its PLC, that leaves the PLC's part to the tool under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from station.control import ControlError
from tests.station.bench import Bench, good, wait_for


@contextmanager
def live_station(directory: Path, **settings: Any) -> Iterator[Bench]:
    """Runs `station run` with the software camera, which shows a good part, until it is online."""
    with starting_station(directory, **settings) as bench:
        wait_online(bench)
        yield bench


@contextmanager
def starting_station(directory: Path, **settings: Any) -> Iterator[Bench]:
    """The same, without waiting for it."""
    directory.mkdir(exist_ok=True)
    bench = Bench(directory, camera__trigger="plc", **settings)
    bench.scene.show(good())
    try:
        bench.start(wait_ready=False)
        yield bench
    except BaseException:
        print(bench.log()[-6000:])  # noqa: T201  what the station said, for whoever reads the failure
        raise
    finally:
        if bench.process is not None:
            bench.process.kill()
            bench.process.wait()
        bench.scene.close()


def wait_online(bench: Bench) -> None:
    """Until the camera streams and the engine is warm."""

    def is_online() -> bool:
        try:
            return bool(bench.status()["online"])
        except ControlError:
            return False

    wait_for(is_online, "the station to go online", 60.0)
