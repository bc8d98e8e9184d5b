"""Why a command of the PLC failed: codes of the register CommandResult with their texts."""

from __future__ import annotations

from enum import IntEnum

from station.codes import CodeText


class CommandResult(IntEnum):
    """Why a command of the PLC failed (register CommandResult)."""

    NONE = 0
    UNKNOWN = 1
    NOT_NOW = 2
    SUPERSEDED = 3
    TIMED_OUT = 4
    REFUSED = 5
    BATCH_NAME_MISSING = 10
    BATCH_NAME_LETTERS = 11
    BATCH_OPEN_ALREADY = 12
    BATCH_OF_A_PERSON = 13
    NO_BATCH_OPEN = 14
    TOO_MANY_BATCHES = 15
    BATCHES_NOT_READABLE = 16


COMMAND_RESULTS: dict[CommandResult, CodeText] = {
    CommandResult.NONE: CodeText("done, still being carried out, or no command yet"),
    CommandResult.UNKNOWN: CodeText("not a command of this version", "compare Command and MapVersion"),
    CommandResult.NOT_NOW: CodeText(
        "its condition does not hold now", "see the command: TriggerReady, SetOffline, the camera's own line"
    ),
    CommandResult.SUPERSEDED: CodeText(
        "another command was asked for before it had ended", "hold Execute until CommandCompleted or CommandFailed"
    ),
    CommandResult.TIMED_OUT: CodeText("not ended in time", "see the log; it may still be carried out"),
    CommandResult.REFUSED: CodeText("refused by the station", "its log, and the audit log, say why"),
    CommandResult.BATCH_NAME_MISSING: CodeText("BatchName is empty", "write it before Execute rises"),
    CommandResult.BATCH_NAME_LETTERS: CodeText(
        "BatchName has something that is no printable letter of ASCII",
        "write letters, digits, spaces, - _ . /; end with 0",
    ),
    CommandResult.BATCH_OPEN_ALREADY: CodeText(
        "a batch of this name is open already", "nothing to do: parts belong to it; compare BatchNumber"
    ),
    CommandResult.BATCH_OF_A_PERSON: CodeText("the open batch was begun by a person", "that person ends it"),
    CommandResult.NO_BATCH_OPEN: CodeText("no batch is open", "nothing to do: parts belong to none"),
    CommandResult.TOO_MANY_BATCHES: CodeText(
        "batches were begun and ended too often", "one change in 30 s on average; look for a program that flaps"
    ),
    CommandResult.BATCHES_NOT_READABLE: CodeText(
        "the records cannot be read, so no number can be given", "see the disk of the station; ask again"
    ),
}
