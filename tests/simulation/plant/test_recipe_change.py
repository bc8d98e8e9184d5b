"""The PLC of the simulated line changes the recipe between two products, and the whole demo with two."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.commands.main import main
from station.simulation.parts import choosing
from station.simulation.parts.pictures import GOOD
from station.simulation.parts.rendered import PRODUCTS, SIZE_PX, render
from station.simulation.plant.recipe_change import CommandStatus, RecipeChange
from tests.bench.engines.small_engine import write_small_engine

RECIPES = dict(enumerate(PRODUCTS, start=1))


def test_execute_waits_until_no_part_is_before_the_camera() -> None:
    change = RecipeChange(wanted=2)
    idle = CommandStatus(completed=False, failed=False, recipe=1, executed=False)
    change.scan(idle, part_before_camera=True)
    assert not change.execute
    change.scan(None, part_before_camera=False)
    assert not change.execute
    change.scan(idle, part_before_camera=False)
    assert change.execute
    change.scan(CommandStatus(completed=False, failed=False, recipe=1, executed=True), part_before_camera=False)
    assert change.execute
    change.scan(CommandStatus(completed=True, failed=False, recipe=2, executed=True), part_before_camera=False)
    assert (change.execute, change.done, change.selected) == (False, True, 2)


@pytest.mark.parametrize(("completed", "recipe"), [(False, 1), (True, 1)])
def test_a_refused_recipe_is_asked_for_once(completed: bool, recipe: int) -> None:
    change = RecipeChange(wanted=2, execute=True)
    ended = CommandStatus(completed=completed, failed=not completed, recipe=recipe, executed=True)
    change.scan(ended, part_before_camera=False)
    assert (change.execute, change.done, change.refused) == (False, False, 2)
    change.scan(CommandStatus(completed=False, failed=False, recipe=1, executed=False), part_before_camera=False)
    assert not change.execute


@given(parts=st.integers(1, 60), seed=st.integers(0, 5))
def test_lots_alternate_and_every_part_has_its_recipe(parts: int, seed: int) -> None:
    planned = choosing.changing(parts, 20, seed, RECIPES)
    assert [part.serial for part in planned] == list(range(1, 40 + parts + 1))
    taught, inspected = planned[:40], planned[40:]
    assert Counter(part.product for part in taught) == {"flange": 20, "cover": 20}
    assert {part.recipe for part in taught} == {0}
    assert all(RECIPES[part.recipe] == part.product for part in inspected)
    if parts >= 8:
        assert [recipe for recipe, _ in itertools.groupby(part.recipe for part in inspected)] == [1, 2, 1, 2]


@pytest.mark.system
def test_the_demo_with_two_recipes(tmp_path: Path) -> None:
    """The PLC selects them while parts are on the belt; each engine would fail every part of the other product."""
    for product in PRODUCTS:
        reference = np.mean([render(seed, GOOD, product) for seed in range(12)], axis=0).astype(np.uint8)
        write_small_engine(
            tmp_path / "engines" / product,
            width=SIZE_PX,
            height=SIZE_PX,
            reference=reference,
            reject_score=95.0,
            review_score=90.0,
        )
    work = ["--work", str(tmp_path / "work"), "--engine", str(tmp_path / "engines")]
    code = main(["demo", "--recipes", "2", "--parts", "24", "--rate", "2", *work])
    report = json.loads((tmp_path / "work" / "report.json").read_text())
    assert code == 0, report["problems"]
    assert report["recipes"]["selected_by_plc"] == [1, 2, 1, 2]
    assert report["recipes"]["judged_as_another"] == []
    assert report["ledger"]["triggers"] == 24
    for product in PRODUCTS:
        made = report["recipes"]["products"][product]
        assert made["ledger"]["triggers"] == 12
        assert made["confusion"]["good_pass"] > 0, "under the other recipe no part passes"


def test_engines_for_all_products_are_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flange").mkdir()
    assert main(["demo", "--recipes", "2", "--engine", str(tmp_path), "--work", str(tmp_path / "work")]) == 2
    assert "cover is missing" in capsys.readouterr().err
