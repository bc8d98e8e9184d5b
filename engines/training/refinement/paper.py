"""Refinement as the papers do it: every image is scored by the model that was trained on it.

Aqeel et al., "Self-Supervised Iterative Refinement for Anomaly Detection in Industrial Quality Control" (VISAPP 2025).
Algorithm 1: score all, remove the image with the largest score if that exceeds lambda times the median, train on; until
nothing exceeds it. Its equation 6 removes all images above the limit at once (`largest_only=False`). OSR (Aqeel et al.
2024): one such removal, then fine-tuning. Neither paper gives lambda a value.

A model scores the dirt that it was trained on as nearly normal, so with much dirt nothing exceeds the limit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.training.refinement.guards import Guards
from engines.training.refinement.records import Checkpoint, Found, Judge, RefineOptions, Round, Scores
from engines.training.refinement.thresholds import above_median

MAX_ROUNDS = 1000


def paper_rounds(
    judge: Judge, guards: Guards, options: RefineOptions, checkpoint: Checkpoint | None, on_round: Callable[[], None]
) -> Found:
    """The rounds of `irp` or `osr`."""
    one_shot = options.method == "osr"
    rounds = checkpoint.load() if checkpoint else []
    kept = guards.start
    for done in rounds:
        kept = np.setdiff1d(kept, done.removed)
    max_rounds = 1 if one_shot else (options.max_rounds or MAX_ROUNDS)
    while len(rounds) < max_rounds and not (rounds and len(rounds[-1].removed) == 0):
        scores = judge.own(kept, continued=bool(rounds))
        positive = judge.positive(scores)
        worst = kept[above_median(positive, options.factor)]
        if options.largest_only and not one_shot:
            worst = worst[:1]
        allowed = guards.removable(worst)[: guards.allowance(kept)]
        limit = _on_score_scale(scores, positive, options.factor)
        rounds.append(Round(kept, scores, limit, allowed, np.empty(0, np.intp), masked_share=0.0))
        kept = np.setdiff1d(kept, allowed)
        if checkpoint:
            checkpoint.save(rounds)
        on_round()
    last = rounds[-1]
    above = last.indices[last.scores > last.limit]
    capped = bool(np.isin(guards.removable(above), kept).any())
    share = 1 - len(kept) / len(guards.start)
    return Found(rounds, kept, None, _last_scores(rounds, guards.count), last.limit, capped, share, kept[:0])


def _last_scores(rounds: list[Round], count: int) -> Scores:
    """The last score of every image; an image that was never scored (known-bad) counts as the worst."""
    scores = np.full(count, max(float(entry.scores.max()) for entry in rounds))
    for entry in rounds:
        scores[entry.indices] = entry.scores
    return scores


def _on_score_scale(scores: Scores, positive: Scores, factor: float) -> float:
    """Lambda times the median on the detector's own scale, which grows with the positive one."""
    limit = factor * float(np.median(positive))
    order = np.argsort(positive)
    return float(np.interp(limit, positive[order], scores[order]))
