"""Engines that stay loaded and warm, so that taking one up again is only the exchange between two parts.

    asked for ─┬─► warm: lent at once ──────────┐
               └─► loaded, piece by piece ──────┴─► lent ─► given back by its last user ─┬─► kept: the one before
                                                                                        └─► no memory: closed

Kept are the engine before, and the one in the shadow: these two may be next. Each costs memory that nobody uses: they
are the first to go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from engines.engine import Engine
from engines.errors import EngineError
from engines.runtimes.tensorrt.probe import Gpu, probe
from station.configuration.recipe import EngineSection
from station.daemon.candidate.memory import BASE_MB, free_mb, too_little_memory
from station.line.inspection.loading import EngineScorer, engine_threads, open_scorer

log = structlog.get_logger()

KEPT = 1
"""Engines without a user that stay loaded, beside the expected one."""
STOP_S = 2.0
ROUND_S = 10.0
"""Between two looks at the memory."""
_Files = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """An engine and how it is run. Another file of the engine is another key."""

    path: Path
    files: _Files
    runtime: str
    precision: str
    threads: int
    instead: bool


@dataclass(slots=True)
class _Loaded:
    scorer: EngineScorer
    users: int = 0
    given_back: int = 0
    """Number of the return that left it without a user: the lowest goes first."""


class WarmEngines:
    """Owns the engines that judge parts in this process, and a thread that loads what is expected and closes what goes.

    Any thread asks; one engine loads at a time.
    """

    def __init__(self, pace: Callable[[], None]) -> None:
        """`pace`: called before each piece of work that takes a while, see `Gaps.wait`."""
        self.pace = pace
        self._loading = threading.Lock()
        self._lock = threading.Lock()
        """Guards what follows; held for moments."""
        self._loaded: dict[_Key, _Loaded] = {}
        self._expected: tuple[Path, EngineSection] | None = None
        self._expected_key: _Key | None = None
        self._returns = 0
        self._problem = ""
        self._stop = threading.Event()
        self._look = threading.Event()
        """There is something to be done before the next round."""
        self._thread = threading.Thread(target=self._run, name="warm-engines", daemon=True)

    def __enter__(self) -> WarmEngines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the thread; what is loaded ends with the process, and so does one that still loads."""
        self._stop.set()
        self._look.set()
        self._thread.join(STOP_S)

    def scorer(self, path: Path, section: EngineSection, threads: int, instead: str) -> EngineScorer:
        """Lends the engine: a warm one, or it is loaded now. See `OpenScorer`; raises EngineError."""
        with self._loading:
            key = _key(path, section, threads, instead)
            with self._lock:
                loaded = self._loaded.get(key)
                if loaded is not None and _holds(section, loaded.scorer.engine):
                    loaded.users += 1
                    return self._lent(key, loaded)
            opened = _Loaded(open_scorer(path, section, threads, instead, self.pace), users=1)
            with self._lock:
                self._loaded[key] = opened
            if loaded is not None and not loaded.users:
                loaded.scorer.close()
            return self._lent(key, opened)

    def is_warm(self, path: Path, section: EngineSection) -> bool:
        """Whether taking this engine up needs no memory and no loading."""
        try:
            key = _key(path, section, engine_threads(section.threads), "")
        except EngineError:
            return False
        with self._lock:
            loaded = self._loaded.get(key)
        return loaded is not None and _holds(section, loaded.scorer.engine)

    def no_room_for(self, path: Path, section: EngineSection) -> str:
        """Why this engine does not fit beside the active one, even without those that are only kept; empty: it fits."""
        if self.is_warm(path, section):
            return ""
        if problem := too_little_memory(path):
            self._give_way(problem)
            problem = too_little_memory(path)
        return problem

    def expect(self, path: Path | None, section: EngineSection) -> None:
        """This engine may be next: it is loaded meanwhile, if it fits. None: no engine is expected. Returns at once."""
        with self._lock:
            self._expected = None if path is None else (path, section)
            self._expected_key = None
        self._look.set()

    @property
    def status(self) -> dict[str, Any]:
        """For people: engines that are warm without judging parts, and why one is not."""
        with self._lock:
            idle = [one.scorer.engine.engine_id for one in self._loaded.values() if not one.users]
            return {"engines": idle, "problem": self._problem}

    def _lent(self, key: _Key, loaded: _Loaded) -> EngineScorer:
        returned = threading.Lock()

        def give_back() -> None:
            if not returned.acquire(blocking=False):  # held for good: it is returned once
                return
            with self._lock:
                loaded.users -= 1
                self._returns += 1
                loaded.given_back = self._returns
                self._problem = ""
                is_listed = self._loaded.get(key) is loaded
            if not is_listed and not loaded.users:  # another one has taken its place
                loaded.scorer.close()
            self._look.set()

        return EngineScorer(loaded.scorer.engine, give_back)

    # ---- on the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look.wait(ROUND_S)
            self._look.clear()
            if self._stop.is_set():
                return
            try:
                self._round()
            except Exception:  # stage boundary: what is kept is a convenience, the line goes on without
                log.exception("engines are not kept warm")

    def _round(self) -> None:
        with self._lock:
            wanted = self._expected if self._expected_key is None else None
        if wanted is not None:
            self._load_expected(*wanted)
        for one in self._take_idle(KEPT, but_expected=True):
            self.pace()
            one.scorer.close()
        free = free_mb()
        if free is not None and free < BASE_MB:
            self._give_way(f"{free:.0f} MB of memory are free, {BASE_MB} MB stay free for the line")

    def _load_expected(self, path: Path, section: EngineSection) -> None:
        try:
            threads = engine_threads(section.threads)
            key = _key(path, section, threads, "")
            if not self.is_warm(path, section) and (problem := too_little_memory(path)):
                self._give_up(path, problem)
                return
            lent = self.scorer(path, section, threads, "")
        except EngineError as refused:
            self._give_up(path, str(refused))
            return
        with self._lock:
            if self._expected == (path, section):
                self._expected_key = key
        lent.close()

    def _give_up(self, path: Path, why: str) -> None:
        with self._lock:
            if self._expected is not None and self._expected[0] == path:
                self._expected = None
        self._say(f"{path.name}: {why}")

    def _give_way(self, why: str) -> None:
        """Closes what nobody uses."""
        for one in self._take_idle(0, but_expected=False):
            self.pace()
            one.scorer.close()
            self._say(f"{one.scorer.engine.engine_id[:12]}: {why}")

    def _take_idle(self, kept: int, *, but_expected: bool) -> list[_Loaded]:
        """Takes engines that nobody uses out of the books, but for the newest ones."""
        with self._lock:
            idle = [key for key, one in self._loaded.items() if not one.users]
            if but_expected:
                idle = [key for key in idle if key != self._expected_key]
            idle.sort(key=lambda key: self._loaded[key].given_back)
            return [self._loaded.pop(key) for key in idle[: max(0, len(idle) - kept)]]

    def _say(self, problem: str) -> None:
        with self._lock:
            self._problem = f"not kept warm: {problem}"
        log.warning("engine not kept warm", problem=problem)


def _holds(section: EngineSection, engine: Engine) -> bool:
    """Whether it would be run in the same way today: on a computer with a GPU a plan may be there by now."""
    return section.runtime != "auto" or engine.choice.name == "tensorrt" or not _has_gpu()


def _has_gpu() -> bool:
    return isinstance(probe(), Gpu)


def _key(path: Path, section: EngineSection, threads: int, instead: str) -> _Key:
    """Raises EngineError: it cannot be read."""
    try:
        folder = path.resolve(strict=True)
        files = sorted((file.name, file.stat()) for file in folder.iterdir() if file.is_file())
    except OSError as problem:
        raise EngineError(f'engine "{path}" cannot be read: {problem.strerror}') from problem
    stamps = tuple((name, info.st_ino, info.st_size, info.st_mtime_ns) for name, info in files)
    return _Key(folder, stamps, section.runtime, section.precision, threads, bool(instead))
