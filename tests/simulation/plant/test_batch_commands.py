"""The PLC of the simulated line begins a batch before its first part and ends it behind the last."""

from __future__ import annotations

from station.simulation.plant.batch_commands import BatchCommands
from station.simulation.plant.recipe_change import CommandStatus


def status(*, completed: bool = False, failed: bool = False, executed: bool = False, result: int = 0) -> CommandStatus:
    return CommandStatus(completed, failed, 1, executed, result)


def test_parts_come_when_the_batch_is_open_and_it_ends_behind_them() -> None:
    batch = BatchCommands("8812")
    assert not batch.parts_may_come
    batch.scan(None)
    assert not batch.execute
    batch.scan(status())
    assert (batch.execute, batch.wanted) == (True, 9)
    batch.scan(status(executed=True))
    batch.scan(status(executed=True, completed=True))
    assert (batch.execute, batch.parts_may_come, batch.wanted) == (False, True, 0)
    batch.is_over = True
    batch.scan(status(executed=True, completed=True))
    assert not batch.execute, "the command before still stands"
    batch.scan(status())
    assert (batch.execute, batch.wanted) == (True, 10)
    batch.scan(status(executed=True, completed=True))
    assert (batch.ended, batch.wanted) == (True, 0)


def test_a_batch_that_is_refused_is_asked_for_once_and_no_part_comes() -> None:
    batch = BatchCommands("8812", execute=True)
    batch.scan(status(executed=True, failed=True, result=13))
    assert (batch.refused, batch.parts_may_come, batch.wanted) == (13, False, 0)
    batch.scan(status())
    assert not batch.execute


def test_a_line_without_a_batch_asks_for_nothing() -> None:
    batch = BatchCommands()
    batch.scan(status())
    assert (batch.parts_may_come, batch.execute) == (True, False)
