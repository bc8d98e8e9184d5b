"""Does a prior of other sites help a site that has 20 images? The decisive experiment for sums as a prior.

    python -m benchmarks.site_prior DIR... --cache FOLDER --json FILE [--layouts apart] [--sites 0,1] [--draws 5]

DIR is a data set of known truth (MVTec layout), of which `benchmarks/sites.py` makes five sites. A draw gives a site 20
good images of two fifths of its parts; the other parts are its test. The good images of the four other sites are the
prior, as sums. Ways to learn:

    alone         the closed form of the 20 images, as the product teaches it
    alone, drawn  the same; how far a location's covariance is drawn to all locations is chosen as the prior's weights
    prior         mean and covariance drawn towards those of the others (`engines.detectors.prior`)
    within        the same with the covariance about each site's own mean
    added         one weight for both: what adding weighed sums can do
    others        mean and covariance of the others alone
    equal         every image counts the same, wherever it is from

Weights are chosen stream by stream by the deviance of held-out local images, limits are drawn from local held-out
scores by the product's calibration. Figures are of local test images: AUROC; share of the defects that pass and of the
good ones that are stopped (review or reject) at a review budget of 10 %. Runs add to FILE, site by site.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.sites import LAYOUTS, SITES, Images, Taken, open_taken
from engines.detectors.prior import Others, Prior, PriorWeights, deviance
from engines.detectors.spatial import SpatialDetector
from engines.detectors.sums import LocationSums, Sums, added, without
from engines.detectors.whitening import POOLED_SHARE
from engines.errors import TrainingError
from engines.training.calibration.calibrate import calibrate
from engines.training.evaluation.layouts import LabelledSet, open_sets
from engines.training.evaluation.metrics import auroc, escapes_by_ranking
from engines.training.fitting.crossfit import FOLDS_OF_FEW, fold_of
from engines.training.fitting.prior import CHOICES, COVARIANCE_WEIGHTS, FOLDS
from engines.training.fitting.train import score
from engines.training.images.features import CachedFeatures, take

LOCAL = 20
TEACH_SHARE = 0.4
"""Of a site's parts; the others are tested."""
WAYS = ("alone", "alone, drawn", "prior", "within", "added", "others", "equal")
POOLED_SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
Join = Callable[[Sums], Sums]
"""Of the seen images -> what is learned."""


class Local:
    """The 20 images of a site, fold by fold."""

    def __init__(self, detector: SpatialDetector, features: CachedFeatures, images: Images, groups: Images) -> None:
        self.detector, self.features, self.images = detector, features, images
        _, first, number = np.unique(groups, return_index=True, return_inverse=True)
        self.groups = first[number]
        self.place = fold_of(self.groups, FOLDS_OF_FEW)
        self.folds = [fold for fold in range(FOLDS_OF_FEW) if (self.place == fold).any()]
        self._of_fold = {fold: detector.sums(take(features, images[self.place == fold])) for fold in self.folds}
        whole: Sums | None = None
        for one in self._of_fold.values():
            whole = added(whole, one)
        assert whole is not None
        self.whole = whole

    def seen_by(self, fold: int) -> Sums:
        """Sums of the images that are not in this fold."""
        return without(self.whole, self._of_fold[fold])

    def held_out(self, place: int, stream: str) -> tuple[LocationSums, Tensor]:
        """Of a stream: sums of the seen, and the features of the unseen, of one of `FOLDS`."""
        seen = self.whole[stream]
        for fold in self.folds:
            if fold % FOLDS == place:
                seen = seen - self._of_fold[fold][stream]
        unseen = self.images[self.place % FOLDS == place]
        return seen, take({stream: self.features[stream]}, unseen)[stream]

    def best(self, stream: str, change: Callable[[LocationSums, Any], LocationSums], tries: Sequence[Any]) -> Any:
        """Which of `tries` changes the sums of the seen so that the unseen have the least deviance."""
        losses = dict.fromkeys(tries, 0.0)
        for place in range(FOLDS):
            seen, unseen = self.held_out(place, stream)
            if len(unseen):
                for each in tries:
                    losses[each] += deviance(change(seen, each), unseen) * len(unseen)
        return min(losses, key=losses.__getitem__)


def within_of(sums: Sequence[LocationSums], others: Others) -> Others:
    """The others with the covariance about each site's own mean."""
    scatter = torch.stack([one.moments()[1] * one.count.mean() for one in sums]).sum(dim=0)
    return Others(others.mean, scatter / sum(one.count.mean() for one in sums))


def with_share(sums: LocationSums, share: float) -> LocationSums:
    """Sums that the product's own share (`POOLED_SHARE`) draws to all locations as far as `share` would."""
    mean, covariance, pooled = sums.moments()
    # (1 - p) (a C + (1 - a) P) + p P = (1 - share) C + share P with a = (1 - share) / (1 - p)
    a = (1 - share) / (1 - POOLED_SHARE)
    count = sums.count.unsqueeze(-1)
    drawn = a * covariance + (1 - a) * pooled
    second = count.unsqueeze(-1) * (drawn + mean.unsqueeze(-1) * mean.unsqueeze(-2))
    return LocationSums(sums.count, count * mean, second)


def way(name: str, local: Local, of_sites: Sequence[Sums]) -> tuple[Join, dict[str, Any] | None]:
    """How a way learns, and what it chose by stream. `of_sites`: of the other sites."""
    streams = list(local.whole)
    if name == "alone":
        return lambda sums: sums, None
    if name == "alone, drawn":
        shares = {stream: local.best(stream, with_share, POOLED_SHARES) for stream in streams}
        return lambda sums: {stream: with_share(one, shares[stream]) for stream, one in sums.items()}, shares
    others, images = {}, {}
    for stream in streams:
        whole = of_sites[0][stream]
        for one in of_sites[1:]:
            whole = whole + one[stream]
        others[stream], images[stream] = Others.of(whole), float(whole.count.mean())
        if name == "within":
            others[stream] = within_of([one[stream] for one in of_sites], others[stream])
    if name in ("others", "equal"):
        weights = {stream: PriorWeights(*[1e9 if name == "others" else images[stream]] * 2) for stream in streams}
        return Prior(others, weights).joined, None
    tries = [PriorWeights(each, each) for each in COVARIANCE_WEIGHTS] if name == "added" else CHOICES
    weights = {stream: local.best(stream, others[stream].joined, tries) for stream in streams}
    return Prior(others, weights).joined, {stream: [one.mean, one.covariance] for stream, one in weights.items()}


def judged(local: Local, join: Join, good: Images, defective: Images) -> dict[str, float]:
    """Figures of one way to learn."""
    detector, images = local.detector, local.images
    held_out, peaks = np.empty(len(images)), np.empty(len(images))
    for fold in local.folds:
        detector.initialise_from(join(local.seen_by(fold)))
        unseen = local.place == fold
        held_out[unseen], maps = score(detector, local.features, images[unseen])
        peaks[unseen] = maps.max(axis=(1, 2))
    detector.initialise_from(join(local.whole))
    of_good, of_defective = (score(detector, local.features, some)[0] for some in (good, defective))
    order = np.argsort(local.groups, kind="stable")
    found = {"auroc": auroc(of_good, of_defective), "pass_by_ranking": escapes_by_ranking(of_good, of_defective, 0.1)}
    try:
        limits = calibrate(held_out[order], peaks[order], 0.01, 0.1)
    except TrainingError:
        return found | {"pass": 1.0, "good_stopped": 0.0, "no_limits": 1.0}
    return found | {
        "pass": float((of_defective <= limits.review_score).mean()),
        "good_stopped": float((of_good > limits.review_score).mean()),
        "no_limits": 0.0,
    }


def one_draw(
    detector: SpatialDetector,
    taken: Taken,
    site: int,
    of_sites: Sequence[Sums],
    rng: np.random.Generator,
    *,
    wanted: Sequence[str],
) -> dict[str, Any]:
    """All ways to learn at one site."""
    mine = np.flatnonzero(taken.site == site)
    good, bad = mine[~taken.is_defective[mine]], mine[taken.is_defective[mine]]
    parts = rng.permutation(np.unique(taken.groups[good]))
    count = max(round(TEACH_SHARE * len(parts)), 1)
    while np.isin(taken.groups[good], parts[:count]).sum() < LOCAL:
        count += 1
    learned = parts[:count]
    images = np.sort(rng.choice(good[np.isin(taken.groups[good], learned)], LOCAL, replace=False))
    test_good, test_bad = (some[~np.isin(taken.groups[some], learned)] for some in (good, bad))
    local = Local(detector, taken.features, images, taken.groups[images])
    found: dict[str, Any] = {"good": len(test_good), "defective": len(test_bad), "chosen": {}, "ways": {}}
    for name in wanted:
        join, what = way(name, local, [sums for number, sums in enumerate(of_sites) if number != site])
        found["ways"][name] = judged(local, join, test_good, test_bad)
        if what is not None:
            found["chosen"][name] = what
    return found


def of_site(site: int, taken: Taken, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the draws of a site come to."""
    ways = found[0]["ways"]
    means = {
        name: {figure: round(float(np.mean([one["ways"][name][figure] for one in found])), 4) for figure in ways[name]}
        for name in ways
    }
    mine = taken.site == site
    gained = [one["ways"]["prior"]["auroc"] - one["ways"]["alone"]["auroc"] for one in found]
    return {
        "images": [int((mine & ~taken.is_defective).sum()), int((mine & taken.is_defective).sum())],
        "tested": [round(float(np.mean([one[kind] for one in found])), 1) for kind in ("good", "defective")],
        "means": means,
        "auroc gained by the prior, each draw": [round(value, 4) for value in gained],
        "chosen": [one["chosen"] for one in found],
    }


def summary(sites: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over the sites that were run: how often a way beats 20 images alone, and means."""
    means = [one["means"] for one in sites]
    return {
        name: {
            "sites": len(sites),
            "better auroc": sum(one[name]["auroc"] > one["alone"]["auroc"] for one in means),
            "fewer pass": sum(one[name]["pass"] < one["alone"]["pass"] for one in means),
        }
        | {figure: round(float(np.mean([one[name][figure] for one in means])), 4) for figure in means[0][name]}
        for name in means[0]
    }


def exactness(detector: SpatialDetector, taken: Taken) -> dict[str, float]:
    """Sums of five sites, added in another order, against those of all images at once; largest relative difference."""
    good = np.flatnonzero(~taken.is_defective)
    at_once = detector.sums(take(taken.features, good))
    whole: Sums | None = None
    for site in reversed(range(SITES)):
        whole = added(whole, detector.sums(take(taken.features, good[taken.site[good] == site])))
    assert whole is not None
    detector.initialise_from(at_once)
    first = [value.clone() for value in detector.whitenings.state_dict().values()]
    detector.initialise_from(whole)
    second = list(detector.whitenings.state_dict().values())
    kinds = ("count", "first", "second")
    sums = [(getattr(at_once[name], kind), getattr(whole[name], kind)) for name in whole for kind in kinds]
    moments = [pair for name in whole for pair in zip(at_once[name].moments(), whole[name].moments(), strict=True)]
    return {
        "sums": max(_apart(*pair) for pair in sums),
        "moments": max(_apart(*pair) for pair in moments),
        "parameters of the engine, single precision": max(_apart(*pair) for pair in zip(first, second, strict=True)),
    }


def _apart(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max() / first.abs().max())


def add_runs(report: dict[str, Any], labels: LabelledSet, layout: str, options: argparse.Namespace) -> None:
    """Every site that is wanted, each written when it is done."""
    detector, taken = open_taken(labels, layout, options.cache, seed=1)
    of_set = report.setdefault(labels.name, {})
    of_set.setdefault("exact", exactness(detector, taken))
    of_layout = of_set.setdefault(layout, {"sites": {}})
    all_good = [np.flatnonzero((taken.site == site) & ~taken.is_defective) for site in range(SITES)]
    of_sites = [detector.sums(take(taken.features, good)) for good in all_good]
    for site in options.sites:
        rng = np.random.default_rng([site, 2026])
        draws = [
            one_draw(detector, taken, site, of_sites, rng, wanted=options.ways.split(";")) for _ in range(options.draws)
        ]
        of_layout["sites"][str(site)] = of_site(site, taken, draws)
        of_layout["over the sites"] = summary(list(of_layout["sites"].values()))
        options.json.write_text(json.dumps(report, indent=1) + "\n")
        means = of_layout["sites"][str(site)]["means"]
        print(labels.name, layout, site, {name: [one["auroc"], one["pass"]] for name, one in means.items()}, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--cache", type=Path, required=True, help="features are kept here")
    parser.add_argument("--json", type=Path, required=True, help="runs are added to it")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--sites", type=lambda text: [int(site) for site in text.split(",")], default=range(SITES))
    parser.add_argument("--ways", default=";".join(WAYS), help="alone and prior are always needed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = json.loads(options.json.read_text()) if options.json.exists() else {}
    for labels, layout in itertools.product(open_sets(options.folders), options.layouts.split(",")):
        add_runs(report, labels, layout, options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
