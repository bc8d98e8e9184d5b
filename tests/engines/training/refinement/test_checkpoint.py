"""Refinement goes on after a kill, and never with rounds that are not its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from engines.training.refinement.checkpoint import FileCheckpoint, checkpoint_key
from engines.training.refinement.records import RefineOptions, Round
from tests.engines.training.refinement.rounds_victim import KEY, run


def small_round(number: int, limit: float = 0.1 + 0.2) -> Round:
    scores = np.random.default_rng(number).normal(size=20)
    some = np.arange(number, dtype=np.intp)
    return Round(np.arange(20), scores, limit, some, some[:1], 1 / 3)


def same(a: list[Round], b: list[Round]) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(getattr(x, field.name), getattr(y, field.name))
        and np.asarray(getattr(x, field.name)).dtype == np.asarray(getattr(y, field.name)).dtype
        for x, y in zip(a, b, strict=True)
        for field in fields(Round)
    )


def test_rounds_come_back_exactly(tmp_path: Path) -> None:
    messages: list[str] = []
    checkpoint = FileCheckpoint(tmp_path / "new" / "folder", "key", messages.append)
    assert checkpoint.load() == []
    rounds = [small_round(0, limit=float("inf")), small_round(3)]
    checkpoint.save(rounds[:1])
    checkpoint.save(rounds)
    assert same(FileCheckpoint(tmp_path / "new" / "folder", "key", messages.append).load(), rounds)
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.load() == []
    assert messages == []


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    messages: list[str] = []
    checkpoint = FileCheckpoint(tmp_path, "key", messages.append)
    checkpoint.save([small_round(2)])
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    for position in range(0, len(good), 7):
        file.write_bytes(good[:position] + bytes([good[position] ^ 4]) + good[position + 1 :])
        assert checkpoint.load() == []
        file.write_bytes(good[:position])
        assert checkpoint.load() == []
    assert len(messages) == 2 * len(range(0, len(good), 7))
    assert all("damaged" in message and "starts from the beginning" in message for message in messages)
    file.write_bytes(good)
    assert same(checkpoint.load(), [small_round(2)])


def test_a_foreign_checkpoint_is_not_used(tmp_path: Path) -> None:
    messages: list[str] = []
    FileCheckpoint(tmp_path, "a", messages.append).save([small_round(1)])
    assert FileCheckpoint(tmp_path, "b", messages.append).load() == []
    assert messages == []  # another training's file is simply not ours
    (file,) = tmp_path.iterdir()
    file.rename(tmp_path / file.name.replace("-a", "-b"))
    assert FileCheckpoint(tmp_path, "b", messages.append).load() == []
    assert "other data, options or software" in messages[0]


def test_the_key_distinguishes_everything() -> None:
    parts = {"data": "00", "options": RefineOptions(known_good=frozenset({2, 1})), "seed": 0, "map": np.zeros(2)}
    keys = {
        checkpoint_key(**parts),
        checkpoint_key(**parts | {"seed": 1}),
        checkpoint_key(**parts | {"options": RefineOptions()}),
        checkpoint_key(**parts | {"data": "01"}),
        checkpoint_key(**parts | {"map": np.ones(2)}),
    }
    assert len(keys) == 5
    assert checkpoint_key(**parts) == checkpoint_key(**dict(reversed(parts.items())))


def test_a_folder_that_cannot_be_written_does_not_end_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    messages: list[str] = []
    FileCheckpoint(tmp_path / "file", "key", messages.append).save([small_round(1)])
    assert "cannot be written" in messages[0]


@pytest.mark.system
def test_goes_on_after_kill_9(tmp_path: Path) -> None:
    """Killed twice in the middle of its work, a refinement ends with the rounds of one that was left alone."""
    killed = FileCheckpoint(tmp_path / "killed", KEY, print)
    rounds = 0
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.engines.training.refinement.rounds_victim", str(tmp_path / "killed")]
        )
        deadline, goal = time.monotonic() + 60, rounds + 5
        while rounds < goal:
            assert process.poll() is None, "the victim ended before it was killed"
            assert time.monotonic() < deadline
            rounds = len(killed.load())
        process.kill()
        assert process.wait(timeout=10) == -signal.SIGKILL
        assert len(killed.load()) >= rounds
        rounds = len(killed.load())
    assert run(tmp_path / "killed", rounds + 2) == rounds
    assert run(tmp_path / "undisturbed", rounds + 2) == 0
    undisturbed = FileCheckpoint(tmp_path / "undisturbed", KEY, print).load()
    assert len(undisturbed) == rounds + 2
    assert same(killed.load(), undisturbed)
