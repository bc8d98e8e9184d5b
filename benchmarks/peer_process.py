"""A graph attention network with a variational autoencoder beside our dynamic PCA, on the Tennessee Eastman process.

Same data, same training run (d00), same time for the limits (d00_te), same two statistics and moving average, same
share of false alarms: see `process_values.py`, which also says where the data are. Needs the extra `train` (torch).

    OMP_NUM_THREADS=1 python -m benchmarks.peer_process FOLDER --json benchmarks/results/peer_process.json

The peer, small enough for a CPU: every signal is a node with a learned embedding; edges lead to the most similar
embeddings, attention weighs them [1]; what the nodes know goes through a variational autoencoder [2] that gives back
the window. Statistics: the squared residuals of the newest sample, each signal by its own deviation (our SPE), and the
distance of the latent mean (our T2). Its size is chosen (first seed) by the evidence bound of the last fifth of d00,
which it does not learn, as anybody without faults would choose it; "best in hindsight" is the size that finds most of
the test's faults, which nobody could know.

Equal false alarms, twice: limits from d00_te, as the product does; and limits such that as many samples before the
faults are beyond them as beyond those of dynamic PCA. No point adjustment: each sample counts by itself.

References:
    [1] A. Deng, B. Hooi, "Graph neural network-based anomaly detection in multivariate time series", AAAI 2021.
    [2] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.process_values import BEGIN, FALSE_SHARE, HARD, SIGNALS, run
from station.process.dynamic_pca import Values, learn, smoothed, with_limits

FAULTS = range(1, 22)
HELD_OUT = 5
"""A fifth of d00 is not learned: sizes are chosen by it, and deviations of residuals come from it."""
AFTER = 960 - BEGIN
"""Samples of a test run with its fault."""
IN_A_ROW = 3
"""Samples beyond a limit that end the delay, as in `process_values`."""
LEARNING_RATE = 2e-3
BATCH = 64
PATIENCE = 40
MOST_EPOCHS = 400
TIMED = 300


@dataclass(frozen=True)
class Size:
    """What may be chosen."""

    window: int
    """Samples a node sees, the newest with them."""
    latent: int
    beta: float
    """Of the divergence, in the loss."""
    neighbours: int = 12
    embedding: int = 16
    hidden: int = 32


SIZES = tuple(Size(window, latent, beta) for window, latent, beta in itertools.product((3, 10), (8, 32), (0.1, 1.0)))


class GraphVae(nn.Module):
    """(n, window, signals) -> the window again, mean and log variance of the latent."""

    def __init__(self, size: Size, signals: int) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Parameter(torch.randn(signals, size.embedding))
        self.node = nn.Linear(size.window, size.hidden)
        self.attention = nn.Linear(2 * (size.hidden + size.embedding), 1)
        self.gate = nn.Linear(size.embedding, size.hidden)
        self.encode = nn.Sequential(nn.Linear(signals * size.hidden, 128), nn.ReLU(), nn.Linear(128, 2 * size.latent))
        self.decode = nn.Sequential(nn.Linear(size.latent, 128), nn.ReLU(), nn.Linear(128, size.window * signals))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With the mean of the latent where no gradient is asked for."""
        mean, log_variance = self.latent(windows)
        drawn = mean
        if self.training:
            drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decode(drawn).reshape(windows.shape), mean, log_variance

    def latent(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, (n, latent)."""
        nodes = self.node(windows.transpose(1, 2))
        direction = functional.normalize(self.embedding, dim=-1)
        alike = direction @ direction.T
        alike = alike.masked_fill(torch.eye(len(alike), dtype=torch.bool), -2.0)
        near = alike.topk(self.size.neighbours, dim=-1).indices
        near = torch.cat([torch.arange(len(near)).unsqueeze(1), near], dim=1)  # a node sees itself, too
        said = torch.cat([nodes, self.embedding.expand(len(nodes), -1, -1)], dim=-1)
        # Of a pair side by side, in two halves: what is linear needs no pairs.
        of_node, of_near = self.attention.weight[0].chunk(2)
        strength = (said @ of_node).unsqueeze(2) + (said @ of_near)[:, near] + self.attention.bias
        share = functional.leaky_relu(strength, 0.2).softmax(dim=2)
        spread = torch.zeros(len(nodes), len(near), len(near))
        joined = spread.scatter(2, near.expand(len(nodes), -1, -1), share) @ nodes
        known = functional.relu(joined * self.gate(self.embedding)) + nodes
        mean, log_variance = self.encode(known.flatten(1)).chunk(2, dim=-1)
        return mean, log_variance.clamp(-8, 8)


def windows_of(values: Values, length: int) -> Tensor:
    """(samples - length + 1, length, signals), each with those before it."""
    seen = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
    return torch.from_numpy(np.ascontiguousarray(seen.transpose(0, 2, 1), np.float32))


def loss_of(model: GraphVae, windows: Tensor) -> Tensor:
    """Negative evidence bound for each number, with the weight of the divergence."""
    again, mean, log_variance = model(windows)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1)
    return (0.5 * (again - windows).square().sum(dim=(1, 2)) + model.size.beta * divergence).mean() / windows[0].numel()


@dataclass(frozen=True)
class Trained:
    """A peer that has learned."""

    model: GraphVae
    centre: Values
    scale: Values
    deviation: Tensor
    """Of the residual of each signal, in samples that were not learned."""
    bound: float
    """Of these samples, the evidence bound with full weight of the divergence; lower is better."""
    seconds: float

    def statistics(self, values: Values) -> tuple[Values, Values]:
        """(distance in the latent, residuals) of each sample that has those before it, smoothed as ours are."""
        windows = windows_of((values - self.centre) / self.scale, self.model.size.window)
        with torch.inference_mode():
            again, mean, _ = self.model(windows)
        beside = ((again - windows)[:, -1] / self.deviation).square().sum(dim=-1)
        return smoothed(mean.square().sum(dim=-1).double().numpy()), smoothed(beside.double().numpy())


def trained(size: Size, values: Values, seed: int) -> Trained:
    """Learn a run in which nothing was wrong."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    centre, scale = values.mean(axis=0), values.std(axis=0, ddof=1)
    learned = len(values) - len(values) // HELD_OUT
    windows = windows_of((values - centre) / scale, size.window)
    seen, unseen = windows[: learned - size.window + 1], windows[learned:]
    model = GraphVae(size, values.shape[1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    best, since = np.inf, 0
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    for _ in range(MOST_EPOCHS):
        model.train()
        for some in torch.randperm(len(seen)).split(BATCH):
            optimiser.zero_grad()
            loss = loss_of(model, seen[some])
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.inference_mode():
            found = float(loss_of(model, unseen))
        since += 1
        if found < best - 1e-4:
            best, since = found, 0
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        if since >= PATIENCE:
            break
    model.load_state_dict(kept)
    model.eval()
    with torch.inference_mode():
        again, mean, log_variance = model(unseen)
        deviation = (again - unseen)[:, -1].square().mean(dim=0).sqrt().clamp_min(1e-3)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=-1).mean()
        # Of the newest sample alone, so that windows of another length compare.
        error = 0.5 * (again - unseen)[:, -1].square().sum(dim=-1).mean()
        bound = float(error + divergence / size.window) / values.shape[1]
    return Trained(model, centre, scale, deviation, bound, time.perf_counter() - started)


# Equal false alarms ---------------------------------------------------------------------------------------------------

Statistics = tuple[Values, Values]


def limits_for(normal: Statistics, false_share: float) -> tuple[float, float]:
    """Limits that both statistics together exceed in `false_share` of the samples, as `with_limits` draws them."""
    low, high = 0.0, 2 * false_share
    for _ in range(40):
        each = (low + high) / 2
        above = beyond(normal, (float(np.quantile(normal[0], 1 - each)), float(np.quantile(normal[1], 1 - each))))
        low, high = (low, each) if above.mean() > false_share else (each, high)
    return float(np.quantile(normal[0], 1 - low)), float(np.quantile(normal[1], 1 - low))


def beyond(values: Statistics, limits: tuple[float, float]) -> NDArray[np.bool_]:
    """Whether either is beyond its limit."""
    found: NDArray[np.bool_] = (values[0] > limits[0]) | (values[1] > limits[1])
    return found


def figures(of_runs: dict[int, Statistics], limits: tuple[float, float]) -> dict[str, Any]:
    """Of runs 1 to 21; each statistic ends with its run, so the last samples are those after the fault."""
    shares, delays, before = {}, {}, []
    for fault, values in of_runs.items():
        above = beyond(values, limits)
        after = above[-AFTER:]
        shares[fault] = float(after.mean())
        first = np.flatnonzero(np.convolve(after, np.ones(IN_A_ROW), "valid") == IN_A_ROW)
        delays[fault] = int(first[0]) if len(first) else None
        before.append(float(above[:-AFTER].mean()))
    easy = [fault for fault in of_runs if fault not in HARD]
    found = [delay for fault in easy if (delay := delays[fault]) is not None]
    return {
        "mean": round(float(np.mean(list(shares.values()))), 4),
        "mean_without_3_9_15": round(float(np.mean([shares[fault] for fault in easy])), 4),
        "before_the_faults": round(float(np.mean(before)), 4),
        "median_delay_without_3_9_15": float(np.median(found)),
        "mean_delay_without_3_9_15": round(float(np.mean(found)), 1),
        "never_found_without_3_9_15": len(easy) - len(found),
        "by_fault": {fault: round(share, 4) for fault, share in shares.items()},
        "delay_samples": delays,
    }


def both_ways(normal: Statistics, of_runs: dict[int, Statistics], before: float) -> dict[str, Any]:
    """Limits from d00_te, and limits with the given share of the samples before the faults."""
    first = figures(of_runs, limits_for(normal, FALSE_SHARE))
    early = tuple(np.concatenate([values[which][:-AFTER] for values in of_runs.values()]) for which in (0, 1))
    second = figures(of_runs, limits_for((early[0], early[1]), before))
    return {"limits from d00_te": first, "as many before the faults": second}


def ours(folder: Path) -> tuple[dict[str, Any], float]:
    """Dynamic PCA, and its share of false alarms before the faults."""
    started = time.perf_counter()
    names = [f"x{number}" for number in range(1, SIGNALS + 1)]
    model = with_limits(learn(names, run(folder, "d00.dat")), run(folder, "d00_te.dat"), FALSE_SHARE)
    seconds = time.perf_counter() - started
    of_runs = {fault: model.scores(run(folder, f"d{fault:02d}_te.dat")) for fault in FAULTS}
    before = float(figures(of_runs, (model.t2_limit, model.spe_limit))["before_the_faults"])
    found = both_ways(model.scores(run(folder, "d00_te.dat")), of_runs, before)
    normal = run(folder, "d00_te.dat")
    started = time.perf_counter()
    for index in range(TIMED):
        model.scores(normal[index : index + 3])
    return found | {
        "training_s": round(seconds, 2),
        "ms_a_sample": round(1e3 * (time.perf_counter() - started) / TIMED, 3),
    }, before


def peer(folder: Path, size: Size, seed: int, before: float) -> dict[str, Any]:
    """One training of the peer."""
    found = trained(size, run(folder, "d00.dat"), seed)
    normal = run(folder, "d00_te.dat")
    of_runs = {fault: found.statistics(run(folder, f"d{fault:02d}_te.dat")) for fault in FAULTS}
    report = both_ways(found.statistics(normal), of_runs, before)
    started = time.perf_counter()
    for index in range(TIMED):
        found.statistics(normal[index : index + size.window])
    return report | {
        "bound": round(found.bound, 4),
        "training_s": round(found.seconds, 1),
        "ms_a_sample": round(1e3 * (time.perf_counter() - started) / TIMED, 3),
        "parameters": sum(value.numel() for value in found.model.parameters()),
    }


def measured(folder: Path, seeds: int) -> dict[str, Any]:
    """All figures."""
    dynamic_pca, before = ours(folder)
    print("dynamic PCA", json.dumps(_short(dynamic_pca)), flush=True)
    runs: dict[Size, list[dict[str, Any]]] = {}
    for size in SIZES:
        runs[size] = [peer(folder, size, 0, before)]
        print(size, runs[size][0]["bound"], _short(runs[size][0]), flush=True)
    by_bound = min(runs, key=lambda size: float(runs[size][0]["bound"]))
    in_hindsight = max(runs, key=lambda size: _mean(runs[size], "as many before the faults"))
    of_first = {size: found[0] for size, found in runs.items()}
    for size in {by_bound, in_hindsight}:
        runs[size] += [peer(folder, size, seed, before) for seed in range(1, seeds)]
        print(size, [_short(one) for one in runs[size]], flush=True)
    return {
        "dynamic PCA": dynamic_pca,
        "peer": {"size": asdict(by_bound), "seeds": runs[by_bound]},
        "peer, best in hindsight": {"size": asdict(in_hindsight), "seeds": runs[in_hindsight]},
        "all sizes, first seed": [
            {
                "size": asdict(size),
                "bound": found["bound"],
                "mean_without_3_9_15, limits from d00_te": _mean([found], "limits from d00_te"),
                "mean_without_3_9_15, as many before the faults": _mean([found], "as many before the faults"),
            }
            for size, found in of_first.items()
        ],
    }


def _mean(found: list[dict[str, Any]], limits: str) -> float:
    return float(np.mean([one[limits]["mean_without_3_9_15"] for one in found]))


def _short(found: dict[str, Any]) -> list[float]:
    return [
        found[limits][figure]
        for limits in ("limits from d00_te", "as many before the faults")
        for figure in ("mean", "mean_without_3_9_15", "before_the_faults")
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not (options.folder / "d00.dat").exists():
        print(f"{options.folder} has no d00.dat: skipped; see the first lines of process_values.py")
        return 0
    torch.set_num_threads(1)
    report = measured(options.folder, options.seeds)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
