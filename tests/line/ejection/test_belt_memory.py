"""The number of parts on the belt outlives the process that wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from station.line.ejection.belt_memory import BeltMemory, BeltMemoryError


def test_the_next_process_reads_what_the_last_one_wrote(tmp_path: Path) -> None:
    with BeltMemory(tmp_path / "belt.bin") as memory:
        assert memory.parts == 0
        memory.write(3)
    with BeltMemory(tmp_path / "belt.bin") as memory:
        assert memory.parts == 3


def test_a_file_of_another_size_starts_at_zero(tmp_path: Path) -> None:
    (tmp_path / "belt.bin").write_bytes(b"\xff" * 5)
    with BeltMemory(tmp_path / "belt.bin") as memory:
        assert memory.parts == 0


def test_a_file_that_cannot_be_opened_names_the_folder_to_check(tmp_path: Path) -> None:
    (tmp_path / "belt.bin").mkdir()
    with pytest.raises(BeltMemoryError, match=r"belt.bin.*Is a directory.*runtime_dir"):
        BeltMemory(tmp_path / "belt.bin")
