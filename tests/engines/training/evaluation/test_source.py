"""Which source shapes a figure: everything that a run of the evaluation reaches in the rooms that compute."""

from __future__ import annotations

import grimp
import pytest

from engines.training.evaluation.source import ROOT, SHAPING, files

COMPUTE = tuple(
    f"engines.{room}" for room in ("bundle.location_spec", "detectors", "location", "preprocess", "training")
)
ROOM = "engines.training.evaluation"
REPORTING = {"engines.training.progress", f"{ROOM}.results", f"{ROOM}.source", f"{ROOM}.layouts"}
"""Reached, but they only say what was computed, or find the images, which a figure names by their content."""


def test_a_changed_module_makes_figures_old() -> None:
    """Else figures of other code would count as done."""
    graph = grimp.build_graph("engines", cache_dir=None)
    reached = {"engines.training.evaluation.runner", *graph.find_upstream_modules("engines.training.evaluation.runner")}
    shaping = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in files(*SHAPING)}
    assert len(reached & shaping) > 30
    missing = {module for module in reached if module.startswith(COMPUTE)} - shaping - REPORTING
    assert {module for module in missing if f"{module}.__init__" not in shaping} == set()


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="training/irp"):
        files("training/irp/*.py")
