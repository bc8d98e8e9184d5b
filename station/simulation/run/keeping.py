"""`station demo --keep`: the line goes on after the account, with the pages for people beside it, until Ctrl-C."""

from __future__ import annotations

import importlib.util
import re
import time
from pathlib import Path

from rich.console import Console

from station.simulation.run.processes import LineProcess, Process, StationProcess

PAGES_S = 60.0
POLL_S = 0.5
_ADDRESS = re.compile(r"^pages: (\S+)$", re.MULTILINE)
_FIRST_ADMIN = re.compile(r"^nobody has an account yet: .*$", re.MULTILINE)


class PagesProcess(Process):
    """`station hmi` of the demo, on a port that is free."""

    def __init__(self, configuration: Path, log: Path) -> None:
        command = ["station", "hmi", "--config", str(configuration), "--port", "0"]
        super().__init__("the pages", command, log, {}, piped=False)
        self._said = log

    def __enter__(self) -> PagesProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def address(self) -> tuple[str, str]:
        """Where the pages are, and how the first account is made; empty: there is one.

        Raises ProcessEnded, TimeoutError.
        """
        deadline = time.monotonic() + PAGES_S
        while True:
            said = self._said.read_text(encoding="utf-8", errors="replace")
            if (found := _ADDRESS.search(said)) is not None:
                time.sleep(POLL_S)  # the line about the account comes right after
                first = _FIRST_ADMIN.search(self._said.read_text(encoding="utf-8", errors="replace"))
                return found[1], first[0] if first else ""
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the pages did not start within {PAGES_S:.0f} s; see {self._said}")
            time.sleep(POLL_S)


def keep_going(console: Console, folder: Path, line: LineProcess, station: StationProcess, parts: int) -> None:
    """Feeds `parts` more parts and serves the pages; returns on Ctrl-C, or when one of the processes ends."""
    configuration = folder / "station.toml"
    if importlib.util.find_spec("starlette") is None:
        console.print("no pages: they need more packages; pip install 'edge-inspection-station\\[hmi]'")
        return
    with PagesProcess(configuration, folder / "pages.log") as pages:
        address, first_admin = pages.address()
        line.feed(parts)
        console.print(f"\nthe line goes on; look at it at {address}live", soft_wrap=True)
        if first_admin:
            console.print(first_admin, soft_wrap=True, markup=False)
        console.print(f"and in another terminal: station monitoring --config {configuration}; Ctrl-C ends it")
        try:
            while True:
                for process in (line, station, pages):
                    process.check()
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            console.print("stopping")
