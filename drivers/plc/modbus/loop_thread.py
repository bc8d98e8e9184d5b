"""A thread named `modbus` with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from drivers.plc.protocol import LinkEvent, OnLinkEvent

JOIN_S = 5.0


class LoopThread:
    """Runs one coroutine function until `stop` is called; a failure is reported as a dead link."""

    def __init__(self, on_link_event: OnLinkEvent) -> None:
        self._on_link_event = on_link_event
        self._running = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        """`serve` gets the event that ends it. Returns when the loop runs."""
        self._thread = threading.Thread(target=self._run, args=(serve,), name="modbus")
        self._thread.start()
        self._running.wait()

    def stop(self) -> None:
        """Harmless when it never started or has ended by itself."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _run(self, serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        try:
            asyncio.run(self._main(serve))
        except Exception as error:  # noqa: BLE001  boundary of the stage: reported, and the PLC sees the link die
            self._on_link_event(LinkEvent("failed", "", f"{type(error).__name__}: {error}"))
        finally:
            self._running.set()

    async def _main(self, serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        await serve(self._stop)
