"""Logging: structlog events on standard error, text on a terminal and JSON under systemd.

No call to a logger raises or waits (see `log_stream`), so a stage may log wherever it likes.
SIGUSR1 writes the stack of every thread to standard error: a station that hangs says where.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import signal
import sys
from datetime import datetime, timezone
from typing import TextIO, cast

import structlog

from station.daemon.log_stream import LogStream

LAST_LINES_S = 2.0
"""Time limit for writing the last lines when the daemon ends."""

_streams: list[LogStream] = []


def configure(form: str = "auto", level: str = "info") -> None:
    """Sets up structlog for this process. `form`: auto, json or text. `close` writes what waits at the end."""
    faulthandler.register(signal.SIGUSR1, file=sys.stderr.fileno())  # in C: works while another thread holds the GIL
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str) if as_json else structlog.dev.ConsoleRenderer()
    )
    stream = LogStream(sys.stderr.fileno(), _lost_as_json if as_json else _lost_as_text)
    _streams.append(stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, stream)),  # write and flush are enough
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)


def close() -> None:
    """Writes the lines that wait, within `LAST_LINES_S`. Nothing is logged afterwards."""
    for stream in _streams:
        stream.close(LAST_LINES_S)


class _Libraries(logging.Handler):
    """Warnings of libraries, which speak through `logging`, become events of the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the library's own format string is wrong
            message = str(record.msg)
        structlog.get_logger().log(record.levelno, "library", logger=record.name, message=message)


def _lost_as_json(lines: int) -> str:
    event = {"event": "log lines lost", "lines": lines, "level": "warning"}
    return json.dumps({**event, "timestamp": datetime.now(timezone.utc).isoformat()}) + "\n"


def _lost_as_text(lines: int) -> str:
    return f"{datetime.now(timezone.utc).isoformat()} [warning  ] log lines lost: {lines}\n"
