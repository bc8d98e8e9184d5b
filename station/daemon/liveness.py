"""Whether the stages move on. A thread that is alive may stand still for ever; what counts is that its loop turns.

Time is counted in turns of the supervisor: after a pause of the whole process (SIGSTOP, a suspended computer) no stage
has stood still for any of them.
"""

from __future__ import annotations

from collections.abc import Mapping


class Liveness:
    """Owns what each stage has shown last. Used by the supervisor's thread."""

    def __init__(self, limit_turns: int) -> None:
        """`limit_turns`: of the supervisor, in which the loop of a stage must turn at least once."""
        self._limit_turns = limit_turns
        self._shown: dict[str, int] = {}
        self._standing: dict[str, int] = {}

    def standing(self, turns: Mapping[str, int]) -> list[str]:
        """The stages whose count of turns has not changed for longer than the limit; called once a turn."""
        for name, count in turns.items():
            moved = self._shown.get(name) != count
            self._shown[name] = count
            self._standing[name] = 0 if moved else self._standing[name] + 1
        return [name for name in turns if self._standing[name] > self._limit_turns]
