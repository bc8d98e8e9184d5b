"""Commands of the PLC that take longer than a scan, one after the other on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from station.command_results import CommandResult
from station.daemon.change_record import ChangeRefused, WantedEngine
from station.daemon.plc.batches import PlcBatches
from station.line.handshake.messages import Command, CommandRequested
from station.line.signalling.messages import CommandFinished
from station.records.batches.rows import BatchError

log = structlog.get_logger()

WHO = "plc"


class Changes(Protocol):
    """What carries them out; raises ChangeRefused."""

    def select_recipe(self, recipe: str | int, who: str) -> None: ...
    def activate_engine(self, wanted: WantedEngine, who: str) -> None: ...
    def reload(self, who: str) -> None: ...


class PlcRequests:
    """Owns the queue of these commands and the thread that carries them out, one after the other. Posts one
    `CommandFinished` for each, whatever happens.
    """

    def __init__(self, post: Callable[[CommandFinished], None]) -> None:
        self._post = post
        self._queue: queue.SimpleQueue[CommandRequested | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="plc-requests")
        self._changes: Changes | None = None
        self._batches: PlcBatches | None = None

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self, changes: Changes, batches: PlcBatches) -> None:
        """Starts to carry out commands, those that wait first."""
        self._changes, self._batches = changes, batches
        self._thread.start()

    def submit(self, request: CommandRequested) -> None:
        """Takes a command; never blocks."""
        self._queue.put(request)

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread after the command in hand; False when that takes longer."""
        if self._thread.ident is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (request := self._queue.get()) is not None:
            result = self._carried_out(request)
            self._post(CommandFinished(request.serial, result is CommandResult.NONE, result))

    def _carried_out(self, request: CommandRequested) -> CommandResult:
        assert self._changes is not None
        assert self._batches is not None
        try:
            match request.command:
                case Command.SELECT_RECIPE:
                    self._changes.select_recipe(request.argument, WHO)
                case Command.ACTIVATE_ENGINE_SLOT:
                    self._changes.activate_engine(WantedEngine(str(request.argument)), WHO)
                case Command.RELOAD_CONFIGURATION:
                    self._changes.reload(WHO)
                case Command.BEGIN_BATCH:
                    self._batches.begin(request.text)
                case Command.END_BATCH:
                    self._batches.end()
                case other:
                    raise ChangeRefused(f"{other.name} is not a command of this thread")
        except ChangeRefused as problem:
            log.warning("command refused", command=request.command.name, argument=request.argument, why=str(problem))
            return CommandResult.REFUSED
        except BatchError as problem:
            log.warning("command refused", command=request.command.name, text=request.text, why=str(problem))
            return problem.code
        except Exception:  # stage boundary: the PLC gets its reply, and the next command is carried out
            log.exception("command failed", command=request.command.name, argument=request.argument)
            return CommandResult.REFUSED
        return CommandResult.NONE
