"""Writes graphs of anomalib's detectors; run by `peer_inference.py` with the Python of the peers' own environment.

    python peer_inference_export.py FOLDER SIDE_PX GOOD_IMAGES

Architecture, layers, sizes and memory bank are anomalib's defaults; the weights are random, since a time does not
depend on them and none can be downloaded. A graph is the model alone, without what anomalib wraps around it (its pre-
and postprocessing, in the peers' favour): `image` float32 (1, 3, SIDE, SIDE), normalised -> score, map.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# torchvision on PyPI is built for CUDA; beside the CPU build of torch its operators do not load, and its import then
# fails because it describes these two. Nothing here calls them.
for _operator in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _operator):
        torch.library.define(f"torchvision::{_operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402

_create_model = timm.create_model


def _without_download(*args: Any, **options: Any) -> nn.Module:
    model: nn.Module = _create_model(*args, **{**options, "pretrained": False})
    return model


timm.create_model = _without_download

from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel  # noqa: E402
from anomalib.models.image.fastflow.torch_model import FastflowModel  # noqa: E402
from anomalib.models.image.padim.torch_model import PadimModel  # noqa: E402
from anomalib.models.image.patchcore.torch_model import PatchcoreModel  # noqa: E402
from anomalib.models.image.stfpm.torch_model import STFPMModel  # noqa: E402

OPSET = 17
CORESET_SHARE = 0.1
PATCH_STRIDE_PX = 8
PATCHCORE_DIM = 1536
RESNET_LAYERS = ["layer1", "layer2", "layer3"]
PADIM_STRIDE_PX, PADIM_DIM = 4, 100


class Outputs(nn.Module):
    """Score and map of a model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(image)
        return found.pred_score.reshape(-1), found.anomaly_map


def patchcore(side_px: int, good_images: int) -> nn.Module:
    model = PatchcoreModel(layers=["layer2", "layer3"], backbone="wide_resnet50_2", pre_trained=False)
    patches = good_images * (side_px // PATCH_STRIDE_PX) ** 2
    model.memory_bank = torch.randn(round(CORESET_SHARE * patches), PATCHCORE_DIM)
    return model


def padim(side_px: int, _good_images: int) -> nn.Module:
    model = PadimModel(layers=RESNET_LAYERS, backbone="resnet18", pre_trained=False)
    cells = (side_px // PADIM_STRIDE_PX) ** 2
    model.gaussian.mean = torch.zeros(PADIM_DIM, cells)
    model.gaussian.inv_covariance = torch.eye(PADIM_DIM).repeat(cells, 1, 1)
    return model


def fastflow(side_px: int, _good_images: int) -> nn.Module:
    return FastflowModel(input_size=(side_px, side_px), backbone="resnet18", pre_trained=False)


def efficient_ad(_side_px: int, _good_images: int) -> nn.Module:
    return EfficientAdModel()


def stfpm(_side_px: int, _good_images: int) -> nn.Module:
    return STFPMModel(layers=RESNET_LAYERS, backbone="resnet18")


MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "PatchCore": patchcore,
    "PaDiM": padim,
    "FastFlow": fastflow,
    "EfficientAD": efficient_ad,
    "STFPM": stfpm,
}


def main() -> None:
    folder, side_px, good_images = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.manual_seed(0)
    torch.set_num_threads(1)
    report: dict[str, Any] = {"software": {name: version(name) for name in ("anomalib", "torch", "timm")}}
    for name, make in MODELS.items():
        started = time.monotonic()
        model = Outputs(make(side_px, good_images)).eval()
        example = torch.rand(1, 3, side_px, side_px)
        with torch.no_grad():
            torch.onnx.export(
                model,
                (example,),
                folder / f"{name}.onnx",
                input_names=["image"],
                output_names=["score", "map"],
                opset_version=OPSET,
                dynamo=False,
            )
        print(f"{name}: exported in {time.monotonic() - started:.0f} s", flush=True)
    (folder / "export.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
