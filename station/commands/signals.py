"""What SIGTERM does while a command runs, and what it did before once the command has ended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_TERMINATED = 143
Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handled(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    """`numbers`: default SIGTERM. For the main thread. Processes that start afterwards inherit what is ignored."""
    before = {number: signal.signal(number, handler) for number in numbers or (signal.SIGTERM,)}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block, and through it whatever it has begun: temporary files, and processes that it follows."""
    with handled(_terminate):
        yield


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)
