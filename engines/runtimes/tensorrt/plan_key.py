"""What a TensorRT plan is valid for. Plans are not portable: another GPU, TensorRT or graph needs another plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from engines.bundle.manifest import Sha256, Text
from engines.runtimes.names import Precision
from engines.runtimes.tensorrt.probe import Gpu

"""What the ONNX graph computes in. It is written into the graph: TensorRT decides nothing about it."""
MAX_BATCH = 8
"""As many views as a part may have."""
KEY_DIGITS = 32
FLAGS = ("strongly_typed", "no_tf32")
"""How plans are built. Another entry here, and every plan that there is becomes foreign."""
_STRICT = ConfigDict(strict=True, extra="forbid")
Batch = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Profile:
    """Numbers of images in one call that a plan takes, and the one that it is tuned for."""

    min_batch: Batch = 1
    opt_batch: Batch = 1
    max_batch: Batch = MAX_BATCH

    def __str__(self) -> str:
        return f"{self.min_batch} to {self.max_batch} images, tuned for {self.opt_batch}"


SEVERAL_IMAGES = Profile()
ONE_IMAGE = Profile(1, 1, 1)


@dataclass(frozen=True, slots=True, config=_STRICT)
class PlanKey:
    """Everything that a plan depends on. Two plans with the same key may be exchanged."""

    onnx_sha256: Sha256
    precision: Precision
    tensorrt_version: Text
    compute_capability: Text
    gpu_name: Text
    driver: Text
    """CUDA version of the driver."""
    profile: Profile = SEVERAL_IMAGES
    flags: Annotated[tuple[Text, ...], Field(max_length=16)] = FLAGS

    @property
    def digest(self) -> str:
        """SHA-256 of the key in its one canonical form."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def name(self) -> str:
        """What the files of the plan are called."""
        return self.digest[:KEY_DIGITS]

    def differences(self, wanted: PlanKey) -> list[str]:
        """What keeps a plan with this key from being the `wanted` one, in words; empty when nothing does."""
        found = []
        for field in fields(PlanKey):
            mine, other = getattr(self, field.name), getattr(wanted, field.name)
            if mine != other:
                found.append(f"{_WORDS[field.name]} {_shown(mine)}, here {_shown(other)}")
        return found


_WORDS = {
    "onnx_sha256": "graph",
    "precision": "precision",
    "tensorrt_version": "TensorRT",
    "compute_capability": "compute capability",
    "gpu_name": "GPU",
    "driver": "driver for CUDA",
    "profile": "profile",
    "flags": "flags",
}


def plan_key(
    onnx_sha256: str, precision: Precision, tensorrt_version: str, gpu: Gpu, profile: Profile = SEVERAL_IMAGES
) -> PlanKey:
    """The key of the plan that this GPU and this TensorRT need for a graph."""
    major, minor = gpu.compute_capability
    return PlanKey(
        onnx_sha256=onnx_sha256,
        precision=precision,
        tensorrt_version=tensorrt_version,
        compute_capability=f"{major}.{minor}",
        gpu_name=gpu.name,
        driver=gpu.driver,
        profile=profile,
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(str(item) for item in value) or "none"
    text = str(value)
    return text[:12] if len(text) == 64 and text.isalnum() else text
