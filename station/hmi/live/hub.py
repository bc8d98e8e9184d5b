"""What all open Live pages share: one look at the live memory every 40 ms, while a page is open, whoever asks.

    live memory ──► LiveHub ──► a message for each page that asks for the next one
                      │
                      └─ the last 32 parts as they came, for whoever taps on one

A message is `length | JSON | part`: the age of the beat always, the state and the part where the page has another one.
So a page that is slow skips parts and never queues them, and verdict and picture come in one piece.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from station.hmi.live.alarms import Alarms
from station.hmi.live.words import (
    alarm_in_words,
    causes,
    challenge_in_words,
    lines_in_words,
    reasons_in_words,
    what_leads,
)
from station.hmi.words import Words
from station.live.reading import LiveReader, NoLiveMemory, Publication, split_part

LOOK_S = 0.04
WATCH_S = 0.5
COUNT_S = 10.0
LONGEST_WAIT_S = 0.3
"""A page hears of the beat at least that often."""
STRIP = 20
KEPT_PARTS = 32
MOST_SOCKETS, MOST_OF_A_LOGIN = 20, 4


@dataclass(frozen=True, slots=True)
class Have:
    """What a page has already."""

    state: str = ""
    part: str = ""

    @classmethod
    def of(cls, text: str) -> Have:
        """From what the page sends. Raises ValueError."""
        asked = json.loads(text)
        if not isinstance(asked, dict) or not all(isinstance(value, str) for value in asked.values()):
            raise ValueError("a page asks with the keys of what it has")
        return cls(asked.get("state", ""), asked.get("part", ""))


@dataclass(frozen=True, slots=True)
class ShownPart:
    """A part as it came."""

    key: str
    payload: bytes
    acquisition_id: int
    reasons: list[Mapping[str, Any]]
    signalled_ns: int


class TooMany(Exception):
    """No more pages can be open at the same time."""


class LiveHub:
    """Owns the reader and what was read last. All but `part` and `seen` is of the thread of the server's loop."""

    def __init__(
        self,
        reader: LiveReader,
        counts: Callable[[], Mapping[str, Any]],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`counts`: of the shift, from the records; called every ten seconds on a thread of its own."""
        self._reader = reader
        self._counts_now = counts
        self._clock = clock
        self._open: dict[object, str | None] = {}
        self._changed = asyncio.Event()
        self._problem = ""
        self._read_ns = 0
        self._beat_age_s = 0.0
        self._state: Publication | None = None
        self._known: Mapping[str, Any] = {}
        self._published: Publication | None = None
        self._part: ShownPart | None = None
        self._parts: OrderedDict[str, ShownPart] = OrderedDict()
        self._counts: Mapping[str, Any] = {}
        self._counted = 0
        self._alarms = Alarms()
        self._alarms_lock = threading.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._said: dict[str, tuple[str, str]] = {}
        """By language: the key of a state, and the state in its words."""

    # ---- pages come and go --------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def looking(self, login: str | None) -> AsyncIterator[None]:
        """While a page is open. `login`: None where nobody has signed in. Raises TooMany."""
        if len(self._open) >= MOST_SOCKETS:
            raise TooMany(f"{MOST_SOCKETS} live pages are open at this station; close one")
        if login is not None and list(self._open.values()).count(login) >= MOST_OF_A_LOGIN:
            raise TooMany(f"{MOST_OF_A_LOGIN} live pages of this login are open; close one")
        page = object()
        first = not self._open
        self._open[page] = login
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._count())] if first else []
        if tasks:
            self._tasks = tasks
        try:
            yield
        finally:
            del self._open[page]
            if not self._open:
                for task in self._tasks:
                    task.cancel()

    async def message(self, have: Have, language: str, words: Words) -> bytes:
        """The next message for a page: as soon as there is something new, and after LONGEST_WAIT_S in any case."""
        changed = self._changed
        if not self._is_new_to(have):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), LONGEST_WAIT_S)
        return self._message(have, language, words)

    # ---- any thread ---------------------------------------------------------------------------------------------

    def part(self, key: str, words: Words) -> bytes | None:
        """A part that came a moment ago, as a message of its own; None when it is not kept."""
        kept = self._parts.get(key)
        if kept is None:
            return None
        return _framed({"reasons": reasons_in_words(kept.reasons, words)}, kept.payload)

    def seen(self, keys: list[str], by: str) -> int:
        """A person has seen what needs one; how many of these were new."""
        with self._alarms_lock:
            return self._alarms.seen(keys, by)

    # ---- the loop -----------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        watched_ns = 0
        while True:
            if self._clock() - watched_ns >= WATCH_S * 1e9:
                watched_ns = self._clock()
                with contextlib.suppress(NoLiveMemory):
                    self._reader.watch()
            self._look()
            await asyncio.sleep(LOOK_S)

    def _look(self) -> None:
        """Reads what is new. What cannot be read is what the pages show."""
        before = (self._problem, self._state_key, self._part_key)
        self._read_ns = self._clock()
        try:
            self._beat_age_s = self._reader.beat_age_s()
            self._take_state(self._reader.state(self._state))
            self._take_part(self._reader.part(self._published))
            self._problem = ""
        except NoLiveMemory as problem:
            self._problem = str(problem)
        if before != (self._problem, self._state_key, self._part_key):
            self._changed.set()
            self._changed = asyncio.Event()

    def _take_state(self, state: Publication | None) -> None:
        if state is not None:
            if self._state is not None and self._state.start_id != state.start_id:
                self._part = None  # of a station that has ended
            self._state, self._known = state, json.loads(state.payload)
            with self._alarms_lock:
                self._alarms.stand(causes(self._known), time.time())

    def _take_part(self, found: Publication | None) -> None:
        if found is None:
            return
        self._published = found
        try:
            part, _ = split_part(found.payload)
        except ValueError as problem:
            raise NoLiveMemory(str(problem)) from problem
        number = part["acquisition_id"]
        key = f"{found.start_id}:{number}"
        self._part = ShownPart(key, found.payload, number, part["reasons"], part["signalled_ns"])
        self._parts[key] = self._part
        while len(self._parts) > KEPT_PARTS:
            self._parts.popitem(last=False)

    async def _count(self) -> None:
        while True:
            counts = await asyncio.to_thread(self._counts_now)
            if counts != self._counts:
                self._counts = counts
                self._counted += 1
            await asyncio.sleep(COUNT_S)

    # ---- messages -----------------------------------------------------------------------------------------------

    @property
    def _state_key(self) -> str:
        if self._state is None:
            return ""
        return f"{self._state.start_id}:{self._state.number}:{self._alarms.version}:{self._counted}"

    @property
    def _part_key(self) -> str:
        return "" if self._part is None else self._part.key

    def _is_new_to(self, have: Have) -> bool:
        return (have.state, have.part) != (self._state_key, self._part_key)

    def _message(self, have: Have, language: str, words: Words) -> bytes:
        now = self._clock()
        part = self._part
        head: dict[str, Any] = {
            "problem": words.gettext(self._problem) if self._problem else "",
            "beat_age_ms": round(1000 * self._beat_age_s + (now - self._read_ns) / 1e6),
            "state_key": self._state_key,
            "part_key": self._part_key,
            "part_age_ms": None if part is None else max(0, round((now - part.signalled_ns) / 1e6)),
        }
        is_new = part is not None and have.part != part.key
        if is_new and part is not None:
            head["reasons"] = reasons_in_words(part.reasons, words)
        text = json.dumps(head)
        if self._state is not None and have.state != self._state_key:
            text = f'{text[:-1]}, "state": {self._in_words(language, words)}}}'
        data = text.encode()
        return struct.pack("<I", len(data)) + data + (part.payload if is_new and part is not None else b"")

    def _in_words(self, language: str, words: Words) -> str:
        key, text = self._said.get(language, ("", ""))
        if key != self._state_key:
            state = self._known
            text = json.dumps(
                {
                    "leads": what_leads(state, words),
                    "needs": [alarm_in_words(alarm, words) for alarm in self._alarms.shown],
                    "parts": lines_in_words(state["parts"], words, STRIP),
                    "start": self._state.start_id if self._state is not None else "",
                    "counters": state["counters"],
                    "shift": self._counts,
                    "recipe": state["recipe"],
                    "engine": state["engine"],
                    "challenge": challenge_in_words(state, words),
                    "simulated": state["simulated"],
                    "online": state["online"],
                    "has_fault": bool(state["fault"]),
                    "stopped": bool(state["line_stop"]),
                }
            )
            self._said[language] = (self._state_key, text)
        return text


def _framed(head: Mapping[str, Any], payload: bytes) -> bytes:
    data = json.dumps(head).encode()
    return struct.pack("<I", len(data)) + data + payload
