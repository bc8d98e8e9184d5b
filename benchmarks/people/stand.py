"""A fresh station of two products without an engine, its pages, and a line that brings rendered parts to it.

The station is the real daemon with the software camera; the PLC and the belt are those of the bench of the tests.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from station.control import ControlError
from station.records.parts import parts
from station.records.schema import open_reader
from station.simulation.parts.ageing import Ageing, aged
from station.simulation.parts.pictures import GOOD
from station.simulation.parts.rendered import DEFECTS, render
from tests.bench.bench import HEIGHT, WIDTH, Bench, Picture
from tests.bench.pages_process import PagesProcess
from tests.bench.waiting import wait_for

SCALE = 2
SIZE = (WIDTH * SCALE, HEIGHT * SCALE)
BAD_SHARE = 0.08
SLOW: dict[str, Any] = {"station__deadline_ms": 10_000, "camera__no_frame_ms": 10_000}
"""A machine that also has a browser to draw: no part is late, so that what is counted is what people do."""
CHALLENGE = """
[[challenge.parts]]
name = "scratch"
[[challenge.parts]]
name = "stain"
[[challenge.parts]]
name = "good part"
expected = "pass"
"""
PRODUCTS = {"flange": "steel flange, 60 mm", "flange-export": "the same, for another customer"}


def picture(seed: int, truth: str = GOOD) -> Picture:
    """A rendered part as the camera of this station sees it, grey, shape (256, 320)."""
    grey = cv2.cvtColor(render(seed, truth), cv2.COLOR_RGB2GRAY)
    square = cv2.resize(grey, (SIZE[1], SIZE[1]), interpolation=cv2.INTER_AREA)
    edge = (SIZE[0] - SIZE[1]) // 2
    return np.asarray(cv2.copyMakeBorder(square, 0, 0, edge, edge, cv2.BORDER_REPLICATE), np.uint8)


class Line(threading.Thread):
    """Brings one part after the other while it runs, some of them defective; it may age, as `station demo --age`."""

    def __init__(self, bench: Bench, every_s: float) -> None:
        super().__init__(name="line", daemon=True)
        self.parts = 0
        self._ageing: tuple[Ageing, ...] = ()
        self._ages_from, self._ages_over = 0, 1
        self._bench = bench
        self._every_s = every_s
        self._runs = threading.Event()
        self._idle = threading.Event()
        self._ends = threading.Event()
        self._random = np.random.default_rng(7)

    def run(self) -> None:
        while not self._ends.wait(self._every_s):
            if not self._runs.is_set() or not self._bench.plc.ready:
                self._idle.set()
                continue
            self._idle.clear()
            self.parts += 1
            is_bad = self._random.random() < BAD_SHARE
            truth = list(DEFECTS)[self.parts % len(DEFECTS)] if is_bad else GOOD
            with suppress(AssertionError, ControlError):  # somebody has stopped the station meanwhile
                age = min(1.0, (self.parts - self._ages_from) / self._ages_over)
                self._bench.part(aged(picture(self.parts, truth), self._ageing, age))

    def ages(self, *ageing: Ageing, over: int) -> None:
        """From the next part on, until it is as old as that after so many parts."""
        self._ages_from, self._ages_over, self._ageing = self.parts, over, ageing

    def is_as_new(self) -> None:
        """Somebody has exchanged what was old."""
        self._ageing = ()

    def stop(self) -> None:
        self._ends.set()
        self.join()

    def start_belt(self) -> None:
        self._runs.set()

    def stop_belt(self) -> None:
        """Returns when no part is on its way."""
        self._runs.clear()
        self._idle.clear()
        assert self._idle.wait(60)

    def bring(self, count: int, timeout_s: float = 300.0) -> None:
        """That many more, then the belt goes on as it was."""
        until, was_running = self.parts + count, self._runs.is_set()
        self._runs.set()
        wait_for(lambda: self.parts >= until, f"{count} parts", timeout_s)
        if not was_running:
            self.stop_belt()


class Stand:
    """The whole of it, until the end of the block."""

    def __init__(self, folder: Path, every_s: float = 0.15, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.bench = Bench(
            folder, with_engine=False, cameras={"top": {"scale": SCALE}}, engine__path=None, engine__store="engines",
            recipe__active="flange", records__pass_image_share=1.0, station__name="ST-04",
            review__pass_share=0.15, review__fail_share=0.5, **(SLOW | settings),
        )  # fmt: skip
        for number, (name, text) in enumerate(PRODUCTS.items(), start=1):
            if (folder / "recipes" / f"{name}.toml").exists():  # of an earlier run: what people have set stays
                continue
            file = self.bench.write_recipe(name, number)
            rest = '[engine]\nproduct = "flange"\n' if number > 1 else ""
            file.write_text(f"{file.read_text()}description = {text!r}\n{rest}{CHALLENGE}")
        self.line = Line(self.bench, every_s)
        self.pages: PagesProcess
        self.code = ""
        """With which the first admin comes in, as `station hmi` prints it. Empty: people have accounts already."""

    def __enter__(self) -> Stand:
        self.bench.__enter__()
        self.bench.start(wait_ready=False)
        wait_for(self._answers, "the station", 120)
        is_fresh = not (self.bench.directory / "work" / "hmi").exists()
        self.pages = PagesProcess(self.bench.config_path)
        assert self.pages.process.stdout is not None
        if is_fresh:
            found = re.search(r"code (\S+)$", self.pages.process.stdout.readline())
            assert found is not None
            self.code = found[1]
        self.line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.line.stop()
        self.pages.end()
        self.bench.__exit__(kind, error, trace)

    @property
    def address(self) -> str:
        return self.pages.address

    def not_passed(self, newest: int) -> float:
        """Share of the newest parts on record that the ejector took."""
        with closing(open_reader(self.bench.directory / "work" / "records")) as connection:
            verdicts = [row.verdict for row in parts(connection)][-newest:]
        return 1.0 - verdicts.count("PASS") / len(verdicts)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The belt stands meanwhile."""
        self.line.stop_belt()
        yield
        self.line.start_belt()

    def _answers(self) -> bool:
        try:
            self.bench.status()
        except ControlError:
            return False
        return True
