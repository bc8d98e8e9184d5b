"""Iterative refinement: which of the unlabelled training images, and which places in them, are fit to learn from."""

from __future__ import annotations

from engines.training.refinement.records import REFINEMENTS, Refinement, RefineOptions, Round
from engines.training.refinement.refine import refine

__all__ = ["REFINEMENTS", "RefineOptions", "Refinement", "Round", "refine"]
