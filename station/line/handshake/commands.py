"""Commands of the PLC: Execute, Executing, CommandCompleted, CommandFailed. Part of the handshake; pure like it.

    Execute rises ─► Executing ─► CommandCompleted or CommandFailed ─► Execute falls, or some time: all clear

Dropping Execute does not cancel a running command; its outcome is then not reported. Execute that rises again meanwhile
asks for another command; that one is not carried out, and CommandFailed reports it when the first has ended.
"""

from __future__ import annotations

from enum import Enum

from drivers.plc.protocol import PlcInputs
from station.command_results import CommandResult
from station.line.handshake.messages import (
    Command,
    CommandRefused,
    CommandRequested,
    GoOffline,
    GoOnline,
    HandshakeRequest,
    ResetCounters,
    SoftwareTriggerTest,
)


class CommandState(Enum):
    """At most one of the three bits is 1."""

    IDLE = 0
    EXECUTING = 1
    COMPLETED = 2
    FAILED = 3


class Commands:
    """Owns the one command that is being executed, and its bits. Called by `Handshake` alone."""

    def __init__(self, timeout_ns: int, release_ns: int, load_timeout_ns: int, *, batches: bool = False) -> None:
        """A command fails after `timeout_ns`, one that loads an engine after `load_timeout_ns`; its outcome clears by
        itself after `release_ns`. `batches`: there are commands that begin and end them.
        """
        self._timeout_ns = timeout_ns
        self._load_timeout_ns = load_timeout_ns
        self._release_ns = release_ns
        self._batches = batches
        self._number = 0
        self._ends_ns = 0
        self._execute = False
        self._superseded = False
        self.state = CommandState.IDLE
        self.serial = 0
        """Number of the command that was started last."""
        self.result = CommandResult.NONE
        """Why the last command failed; stands until the next one is asked for."""

    @property
    def next_wakeup_ns(self) -> int | None:
        return None if self.state is CommandState.IDLE else self._ends_ns

    def wrote(
        self, inputs: PlcInputs, *, ready: bool, now_ns: int, software_trigger: bool = True
    ) -> list[HandshakeRequest]:
        """The control block after a write; `ready`: TriggerReady; `software_trigger`: there can be one."""
        rose = inputs.execute and not self._execute
        self._execute = inputs.execute
        if not inputs.execute and self.state is not CommandState.EXECUTING:
            self.state = CommandState.IDLE
        if not rose:
            return []
        if self.state is CommandState.EXECUTING:
            self._superseded = True
            return [CommandRefused(inputs.command, "another command is still being executed")]
        self.state = CommandState.EXECUTING
        self._superseded = False
        self.result = CommandResult.NONE
        self._number = inputs.command
        self._ends_ns = now_ns + self._timeout_ns
        self.serial += 1
        return self._start(inputs, ready, software_trigger, now_ns)

    def online_is(self, online: bool, now_ns: int) -> None:
        """The commands to go online or offline end when the station is."""
        if (self._number == Command.GO_ONLINE and online) or (self._number == Command.GO_OFFLINE and not online):
            self.finished(True, now_ns)

    def finished(self, succeeded: bool, now_ns: int, why: CommandResult = CommandResult.REFUSED) -> None:
        """The command being executed has ended. `why`: it failed."""
        if self.state is not CommandState.EXECUTING:
            return
        if not self._execute:
            self.state = CommandState.IDLE
            return
        self.state = CommandState.COMPLETED if succeeded and not self._superseded else CommandState.FAILED
        self.result = CommandResult.NONE if self.state is CommandState.COMPLETED else why
        if self._superseded:
            self.result = CommandResult.SUPERSEDED
        self._ends_ns = now_ns + self._release_ns

    def tick(self, now_ns: int) -> None:
        if self.state is CommandState.IDLE or now_ns < self._ends_ns:
            return
        if self.state is CommandState.EXECUTING:
            self.finished(False, now_ns, CommandResult.TIMED_OUT)
        else:
            self.state = CommandState.IDLE

    def _start(  # noqa: PLR0911  one return a command
        self, inputs: PlcInputs, ready: bool, software_trigger: bool, now_ns: int
    ) -> list[HandshakeRequest]:
        match inputs.command:
            case Command.GO_ONLINE if not inputs.set_offline:
                return [GoOnline()]
            case Command.GO_OFFLINE:
                return [GoOffline()]
            case Command.SOFTWARE_TRIGGER_TEST if ready and software_trigger:
                self.finished(True, now_ns)
                return [SoftwareTriggerTest()]
            case Command.RESET_COUNTERS:
                self.finished(True, now_ns)
                return [ResetCounters()]
            case Command.SELECT_RECIPE | Command.ACTIVATE_ENGINE_SLOT | Command.RELOAD_CONFIGURATION as command:
                self._ends_ns = now_ns + self._load_timeout_ns
                return [CommandRequested(Command(command), inputs.command_argument, self.serial)]
            case Command.BEGIN_BATCH | Command.END_BATCH as command if self._batches:
                return [CommandRequested(Command(command), 0, self.serial, inputs.batch_name)]
            case Command.START_CHALLENGE_TEST:
                return [CommandRequested(Command.START_CHALLENGE_TEST, inputs.command_argument, self.serial)]
            case Command.GO_ONLINE:
                code, why = CommandResult.NOT_NOW, "SetOffline is 1"
            case Command.SOFTWARE_TRIGGER_TEST:
                code = CommandResult.NOT_NOW
                why = "TriggerReady is 0" if not ready else "the camera waits for its line"
            case Command.BEGIN_BATCH | Command.END_BATCH:
                code, why = CommandResult.UNKNOWN, "the PLC begins no batches: [plc] batches = false"
            case _:
                code, why = CommandResult.UNKNOWN, "not a command of this version"
        self.finished(False, now_ns, code)
        return [CommandRefused(inputs.command, why)]
