"""Backbones from packages and from files: the same numbers as elsewhere, and clear errors."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.utils import get_model_params
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from engines.bundle.manifest import InputSpec
from engines.detectors.backbones.base import BackboneError
from engines.detectors.backbones.loading import load_backbone, package_file
from engines.detectors.backbones.tokens import TokenGrid, token_grid
from engines.detectors.catalogue import DETECTORS
from engines.runtimes.onnx import OnnxRuntime
from engines.training.release.export import check_parity, export_onnx, map_spec

SIZE_PX = 64


class SmallNetwork(nn.Module):
    """Two feature maps, at stride 4 and 8; the normalisation is part of it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 4, stride=4)
        self.second = nn.Conv2d(8, 12, 2, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.first(image / 128 - 1).relu()
        return fine, self.second(fine).tanh()


def write_network(
    path: Path,
    *,
    opset: int = 17,
    network: nn.Module | None = None,
    size_px: int = SIZE_PX,
    axes: dict[str, dict[int, str]] | None = None,
) -> Path:
    axes = axes or {"picture": {0: "n", 2: "h", 3: "w"}, "fine": {0: "n"}, "coarse": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network or SmallNetwork(),
            (torch.zeros(1, 3, size_px, size_px),),
            path,
            input_names=["picture"],
            output_names=["fine", "coarse"],
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )
    return path


def checkpoint(name: str) -> dict[str, Tensor]:
    """The published weights, as safetensors wants them."""
    return {key: value.contiguous() for key, value in torch.load(package_file(name), weights_only=True).items()}


def noise(height: int, width: int, count: int = 2) -> Tensor:
    return 255 * torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_lite_equals_another_implementation(name: str) -> None:
    # The other one pads for the size that it is given.
    blocks, parameters = get_model_params(f"efficientnet-{name}", {"image_size": SIZE_PX})
    reference = EfficientNet(blocks, parameters).eval()
    reference.load_state_dict(torch.load(package_file(name), weights_only=True))
    image = noise(SIZE_PX, SIZE_PX)
    backbone = load_backbone(name, ("head", "x4"))
    with torch.inference_mode():
        found = backbone(image)
        expected = reference.extract_features((image - 127) / 128)
    assert torch.allclose(found["head"], expected, atol=1e-3)
    for tap, value in found.items():
        stride = backbone.strides[tap]
        assert value.shape == (2, backbone.channels[tap], SIZE_PX // stride, SIZE_PX // stride)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_taps_name_the_same_place_in_deeper_networks() -> None:
    taps = ("x4", "e11", "b15")
    assert {name: load_backbone(name, taps).strides for name in ("lite0", "lite2")} == {
        name: {"x4": 8, "e11": 16, "b15": 32} for name in ("lite0", "lite2")
    }


def test_safetensors_give_the_weights_of_the_file(tmp_path: Path) -> None:
    weights = checkpoint("lite1")
    weights["_conv_stem.weight"] *= 2
    save_file(weights, tmp_path / "own.safetensors")
    own, packaged = load_backbone(str(tmp_path / "own.safetensors"), ("b1",)), load_backbone("lite1", ("b1",))
    assert own.key != packaged.key
    assert own.channels == packaged.channels
    image = noise(32, 32)
    assert not torch.allclose(own(image)["b1"], packaged(image)["b1"], atol=1e-2)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    weights = checkpoint("lite0")
    path = tmp_path / "own.safetensors"
    save_file({**weights, "_bn0.bias": torch.full((32,), torch.nan)}, path)
    with pytest.raises(BackboneError, match=r"_bn0\.bias holds values that are not finite"):
        load_backbone(str(path), ("b1",))
    del weights["_bn0.bias"]
    save_file(weights, path)
    with pytest.raises(BackboneError, match=r"lack _bn0\.bias"):
        load_backbone(str(path), ("b1",))
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(BackboneError, match="have 0 blocks"):
        load_backbone(str(path), ("b1",))
    path.write_bytes(b"no")
    with pytest.raises(BackboneError, match="not a safetensors file"):
        load_backbone(str(path), ("b1",))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("resnet", 'unknown backbone "resnet"; allowed: lite0, lite1, lite2'),
        ("weights.pth", "can run code"),
        ("missing.onnx", "there is no such file"),
    ],
)
def test_unknown_backbones_are_refused(name: str, reason: str) -> None:
    with pytest.raises(BackboneError, match=reason):
        load_backbone(name, ("b1",))


@pytest.mark.parametrize("tap", ["b16", "q1", "x", "x-1", ""])
def test_unknown_taps_are_refused(tap: str) -> None:
    with pytest.raises(BackboneError, match="unknown tap"):
        load_backbone("lite0", (tap,))


def test_an_onnx_file_gives_the_features_of_its_network(tmp_path: Path) -> None:
    backbone = load_backbone(str(write_network(tmp_path / "small.onnx")), ("b15",))
    assert backbone.taps == ("fine", "coarse")
    assert backbone.channels == {"fine": 8, "coarse": 12}
    assert backbone.strides == {"fine": 4, "coarse": 8}
    image = noise(32, 80)
    with torch.inference_mode():
        for found, expected in zip(backbone(image).values(), SmallNetwork()(image), strict=True):
            assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.system
@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("name", ["differnet", "memory"])
def test_an_engine_contains_the_network_of_the_file(name: str, opset: int, tmp_path: Path) -> None:
    spec = InputSpec(width=80, height=48)
    detector = DETECTORS[name](spec, str(write_network(tmp_path / "small.onnx", opset=opset))).eval()
    images = np.random.default_rng(0).integers(0, 256, (6, 48, 80, 3), dtype=np.uint8)
    with torch.inference_mode():
        detector.initialise(detector.features(torch.from_numpy(images)))
    model = export_onnx(detector, spec)
    network = onnx.load(tmp_path / "small.onnx")
    weights = [tensor.name for tensor in onnx.load_from_string(model).graph.initializer]
    assert sum(weight.startswith("backbone.") for weight in weights) == len(network.graph.initializer)
    with OnnxRuntime(model, spec, map_spec(detector), threads=1) as runtime:
        check_parity(detector, runtime, images)


def test_an_onnx_file_of_a_fixed_size_takes_only_that(tmp_path: Path) -> None:
    path = write_network(tmp_path / "fixed.onnx", axes={"picture": {0: "n"}, "fine": {0: "n"}, "coarse": {0: "n"}})
    DETECTORS["memory"](InputSpec(width=SIZE_PX, height=SIZE_PX), str(path))
    with pytest.raises(BackboneError, match=f"only takes {SIZE_PX}x{SIZE_PX}"):
        DETECTORS["memory"](InputSpec(width=SIZE_PX, height=2 * SIZE_PX), str(path))
    with pytest.raises(BackboneError, match="free height and width"):
        DETECTORS["differnet"](InputSpec(width=SIZE_PX, height=SIZE_PX), str(path))


class SmallTransformer(nn.Module):
    """A vision transformer with random weights: patches of 14 px, a class token, four registers, two blocks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 24, 14, stride=14)
        self.others = nn.Parameter(torch.randn(1, 5, 24))
        self.places = nn.Parameter(torch.randn(1, 24, 8, 8))
        self.mixed = nn.ModuleList(nn.Linear(24, 72) for _ in range(2))
        self.after = nn.ModuleList(nn.Linear(24, 24) for _ in range(2))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        patches = self.patches(image / 128 - 1)
        places = functional.interpolate(self.places, size=patches.shape[2:], mode="bilinear", align_corners=False)
        tokens = (patches + places).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.others.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        layers = []
        for mixed, after in zip(self.mixed, self.after, strict=True):
            query, key, value = mixed(tokens).chunk(3, dim=-1)
            tokens = tokens + torch.softmax(query @ key.transpose(1, 2) / 24**0.5, dim=-1) @ value
            tokens = tokens + after(tokens).tanh()
            layers.append(tokens)
        return layers[0], layers[1]


def write_transformer(path: Path, *, fixed_px: int | None = None) -> Path:
    if fixed_px is None:
        free = {"picture": {0: "n", 2: "h", 3: "w"}, "fine": {0: "n", 1: "t"}, "coarse": {0: "n", 1: "t"}}
        return write_network(path, network=SmallTransformer(), size_px=112, axes=free)
    free = {"picture": {0: "n"}, "fine": {0: "n"}, "coarse": {0: "n"}}
    return write_network(path, network=SmallTransformer(), size_px=fixed_px, axes=free)


def test_the_tokens_of_a_transformer_become_maps_of_16_px_cells(tmp_path: Path) -> None:
    backbone = load_backbone(str(write_transformer(tmp_path / "vit.onnx")), ())
    assert backbone.channels == {"fine": 24, "coarse": 24}
    assert backbone.strides == {"fine": 16, "coarse": 16}
    image = noise(64, 96)
    seen = functional.interpolate(image, size=(56, 84), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        tokens = SmallTransformer()(seen)
        for found, expected in zip(backbone(image).values(), tokens, strict=True):
            assert found.shape == (2, 24, 4, 6)
            # Row by row behind the five tokens that belong to no place.
            assert torch.allclose(found[:, :, 1, 2], expected[:, 5 + 1 * 6 + 2], atol=1e-4)


def test_a_transformer_of_a_fixed_size_takes_the_input_that_scales_to_it(tmp_path: Path) -> None:
    backbone = load_backbone(str(write_transformer(tmp_path / "vit.onnx", fixed_px=56)), ())
    assert backbone(noise(64, 64))["fine"].shape == (2, 24, 4, 4)
    with pytest.raises(BackboneError, match="only takes 64x64"):
        backbone.check_input(128, 128)


@pytest.mark.system
@pytest.mark.parametrize("name", ["memory", "spatial"])
def test_an_engine_contains_a_transformer(name: str, tmp_path: Path) -> None:
    spec = InputSpec(width=96, height=64)
    detector = DETECTORS[name](spec, str(write_transformer(tmp_path / "vit.onnx"))).eval()
    images = np.random.default_rng(0).integers(0, 256, (6, 64, 96, 3), dtype=np.uint8)
    with torch.inference_mode():
        detector.initialise(detector.features(torch.from_numpy(images)))
    with OnnxRuntime(export_onnx(detector, spec), spec, map_spec(detector), threads=1) as runtime:
        check_parity(detector, runtime, images)


@pytest.mark.parametrize(
    ("tokens", "height", "width", "patch", "others"),
    [
        (1024, 448, 448, 14, 0),
        (1025, 448, 448, 14, 1),
        (1029, 448, 448, 14, 5),
        (784, 448, 448, 16, 0),
        (197, 224, 224, 16, 1),
        (50, 224, 224, 32, 1),
        (785, 224, 224, 8, 1),
        (1370, 518, 518, 14, 1),
    ],
)
def test_the_number_of_tokens_says_how_they_lie(tokens: int, height: int, width: int, patch: int, others: int) -> None:
    assert token_grid(tokens, height, width) == TokenGrid(patch, others)


def test_tokens_that_lie_in_no_grid_are_refused() -> None:
    assert token_grid(1000, 448, 448) is None
    assert token_grid(1034, 448, 448) is None  # ten that belong to no place


class Tokens(SmallNetwork):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine, coarse = super().forward(image)
        return fine.flatten(2), coarse


def test_unsuitable_onnx_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(BackboneError, match="not an ONNX model"):
        load_backbone(str(path), ())
    write_network(path, network=Tokens())
    with pytest.raises(BackboneError, match="or \\(n, tokens, channels\\) of patches"):
        load_backbone(str(path), ())
    write_network(path, axes={"picture": {2: "h", 3: "w"}})
    with pytest.raises(BackboneError, match="with a free n"):
        load_backbone(str(path), ())


def test_a_dot_in_the_name_of_an_output_is_refused(tmp_path: Path) -> None:
    """As exporters call what nobody has named; modules of what is learned cannot be called so."""
    file = tmp_path / "net.onnx"
    model = onnx.load(write_network(file))
    for node in model.graph.node:
        node.output[:] = ["blocks.4" if name == "fine" else name for name in node.output]
        node.input[:] = ["blocks.4" if name == "fine" else name for name in node.input]
    model.graph.output[0].name = "blocks.4"
    onnx.save(model, file)
    with pytest.raises(BackboneError, match=r'output "blocks\.4": allowed are names without a dot'):
        DETECTORS["spatial"](InputSpec(width=SIZE_PX, height=SIZE_PX), str(file))


@pytest.mark.parametrize("name", ["differnet", "memory"])
def test_inputs_that_do_not_fit_are_refused(name: str) -> None:
    with pytest.raises(BackboneError, match="input 100x64: both must be multiples of 32"):
        DETECTORS[name](InputSpec(width=100, height=64))
