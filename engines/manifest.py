"""What `manifest.json` of an engine says. Strict: unknown keys, wrong types and non-finite numbers are refused."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT_VERSION = 1
MODEL_FILE = "model.onnx"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pixels = Annotated[int, Field(ge=1, le=16384)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class InputSpec(_Strict):
    """The images the model takes: uint8 RGB, (height, width, 3), grey replicated.

    `contain` scales an image to fit inside at its own aspect and fills the rest with its reflection.
    """

    width: Pixels
    height: Pixels
    channels: Literal[3] = 3
    fit: Literal["contain"] = "contain"


class MapSpec(_Strict):
    """Size of the anomaly map, in cells; it covers the whole model input."""

    width: Pixels
    height: Pixels


class Calibration(_Strict):
    """Limits on the scores of this engine. PASS: score <= review_score; FAIL: score > reject_score; between: REVIEW."""

    reject_score: Number
    review_score: Number
    pixel_score: Number
    """A cell of the map above this belongs to a defect region."""
    false_reject_budget: Annotated[float, Field(gt=0, lt=1)]
    """Share of good parts that may be rejected."""
    holdout_count: Annotated[int, Field(ge=1)]
    """Good images scored by a model that did not see them; the limits come from these."""
    method: Text


class TrainingRecord(_Strict):
    """What the engine was taught from."""

    data_sha256: Sha256
    """Hash over the names and contents of all images found."""
    image_count: Annotated[int, Field(ge=1)]
    removed_count: Annotated[int, Field(ge=0)]
    min_width: Pixels
    max_width: Pixels
    min_height: Pixels
    max_height: Pixels
    min_aspect: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Smallest width / height among the images."""
    max_aspect: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    grey: bool
    """True when every image was grey."""


class ModelFile(_Strict):
    """The ONNX graph: `image` uint8 (n, height, width, 3) -> `image_score` (n,), `anomaly_map` (n, h, w)."""

    file: Literal["model.onnx"] = "model.onnx"
    sha256: Sha256


class GoldenFile(_Strict):
    """An image in the model's input size and what the engine said of it when it was released."""

    file: Annotated[str, Field(pattern=r"^golden/[a-z0-9_-]{1,60}\.png$")]
    sha256: Sha256
    image_score: Number
    map_peak: Number


class Manifest(_Strict):
    """The whole of `manifest.json`."""

    format_version: Literal[1] = 1
    engine_id: Sha256
    """Hash over everything else in the manifest, which holds the hashes of all other files."""
    detector: Text
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    input: InputSpec
    map: MapSpec
    model: ModelFile
    golden: Annotated[tuple[GoldenFile, ...], Field(strict=False, min_length=1, max_length=16)]
    golden_tolerance: Annotated[float, Field(gt=0, le=1)]
    """Allowed difference of a golden score: absolute below 1, relative above."""
    calibration: Calibration
    training: TrainingRecord
    software: Annotated[dict[Text, Text], Field(max_length=50)]
    """Package -> version that made this engine."""

    def content_id(self) -> str:
        """The engine id that this content must have."""
        content = self.model_dump(mode="json", exclude={"engine_id"})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
