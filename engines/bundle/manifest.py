"""What `manifest.json` of an engine says. Strict: unknown keys, wrong types and non-finite numbers are refused."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from engines.bundle.detection import Detection
from engines.bundle.kinds import KindsRecord
from engines.bundle.location_spec import LocationSpec, NoLocation, PictureName, Polygon
from engines.bundle.picture_bands import PictureBands
from engines.parity_report import ParityReport
from engines.scale import ScoreScale

FORMAT_VERSION = 1
MODEL_FILE = "model.onnx"
MAX_SAMPLE = 24
MAX_HELD_OUT = 500
"""Evenly spaced where there are more."""
MAX_AREA_PX = 4 << 20
"""Of the model's input and of the map; twenty times what teaching makes."""
MAX_DECODED_BYTES = 256 << 20
"""Of all images of an engine together: a PNG of a megabyte may decode to a gigabyte."""
_LATER = (
    *("variants", "sample", "frame", "map_score", "reviews"),
    *("possible_variants", "suspects", "known_defects", "kinds", "detection", "picture_bands", "held_out", "depth"),
)
"""Keys of the manifest that came after the first engines of this format."""
_NOT_WRITTEN_EMPTY = frozenset(
    {"possible_variants", "suspects", "known_defects", "kinds", "detection", "picture_bands", "held_out", "depth"}
)
"""Those of them that stand in the file only when they say something: older software refuses keys it does not know."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pixels = Annotated[int, Field(ge=1, le=16384)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _check_area(width: int, height: int) -> None:
    if width * height > MAX_AREA_PX:
        raise ValueError(f"{width} x {height} are {width * height} pixels, at most {MAX_AREA_PX} are allowed")


class InputSpec(_Strict):
    """The images the model takes: uint8 RGB, (height, width, 3), grey replicated.

    `contain` scales an image to fit inside at its own aspect and fills the rest with its reflection. `stretch` scales
    width and height each to fill it: for images that were cut out around parts of different shapes, so that the edges
    of the parts always lie at the same place.
    """

    width: Pixels
    height: Pixels
    channels: Literal[3] = 3
    fit: Literal["contain", "stretch"] = "contain"

    @model_validator(mode="after")
    def _bounded(self) -> InputSpec:
        _check_area(self.width, self.height)
        return self


class MapSpec(_Strict):
    """Size of the anomaly map, in cells; it covers the whole model input."""

    width: Pixels
    height: Pixels
    detail: Literal[1, 2] = 1
    """1: one map. 2: a second one beside it, twice as fine, is shown; both have the same highest value."""

    @model_validator(mode="after")
    def _bounded(self) -> MapSpec:
        _check_area(self.detail * self.width, self.detail * self.height)
        return self

    @model_serializer(mode="wrap")
    def _as_before_there_was_detail(self, write: SerializerFunctionWrapHandler) -> dict[str, int]:
        content: dict[str, int] = write(self)
        return {name: value for name, value in content.items() if (name, value) != ("detail", 1)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what the graph gives for an image: (height, width), or with detail (2, rows, columns)."""
        rows, columns = self.detail * self.height, self.detail * self.width
        return (rows, columns) if self.detail == 1 else (2, rows, columns)


class MapScore(_Strict):
    """How the image score follows from the map: the mean of its hottest cells."""

    hottest_share: Annotated[float, Field(gt=0, le=1)]
    """Of all cells of the map, rounded up."""
    log: bool = False
    """The map is a logarithm: the score is the log of the mean of what it is the logarithm of."""


class EscapeBounds(_Strict):
    """What labelled defects say about the limits; each bound holds with the confidence of the calibration."""

    defective_count: Annotated[int, Field(ge=1)]
    escaped_count: Annotated[int, Field(ge=0)]
    """Defective images that would PASS."""
    failed_count: Annotated[int, Field(ge=0)]
    """Defective images that FAIL outright."""
    escape_share_upper: Share
    """At most this share of such defects passes."""
    fail_share_lower: Share
    """At least this share of such defects fails outright."""


class Calibration(_Strict):
    """Limits on the raw scores of this engine, and what was promised of them.

    PASS: score <= review_score; FAIL: score > reject_score; between: REVIEW. People see `scale` instead of raw scores.
    """

    reject_score: Number
    review_score: Number
    pixel_score: Number
    """A cell of the map at or above this belongs to a defect region. At most `pixel_budget` of good parts show one."""
    typical_score: Number
    """Median of the held-out good images."""
    typical_peak: Number
    """Median over the held-out good images of the highest cell of the map."""
    false_reject_budget: Annotated[float, Field(gt=0, lt=1)]
    """Share of good parts that may be rejected."""
    review_budget: Annotated[float, Field(gt=0, lt=1)]
    """Share of good parts that may be rejected or in review."""
    pixel_budget: Annotated[float, Field(gt=0, lt=1)]
    """Share of good parts that may show a defect region."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    """With which each budget holds, over repeated calibrations on as many images."""
    holdout_count: Annotated[int, Field(ge=1)]
    """Good images scored by a model that did not see them; the limits come from these."""
    effective_count: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    """As many independent images say as much: neighbours in capture order resemble each other."""
    outlier_count: Annotated[int, Field(ge=0)] = 0
    """Held-out images left out because they score far beyond all others."""
    method: Text
    promise: Annotated[str, Field(max_length=1000)]
    """What was promised, in words."""
    escapes: EscapeBounds | None = None
    """None: no labelled defects were given."""

    @model_validator(mode="after")
    def _ordered(self) -> Calibration:
        if not self.typical_score < self.reject_score:
            raise ValueError(f"typical_score {self.typical_score} must be below reject_score {self.reject_score}")
        if not self.review_score <= self.reject_score:
            raise ValueError(f"review_score {self.review_score} must not be above reject_score {self.reject_score}")
        if not self.typical_peak < self.pixel_score:
            raise ValueError(f"typical_peak {self.typical_peak} must be below pixel_score {self.pixel_score}")
        return self

    @property
    def scale(self) -> ScoreScale:
        """Image scores as people see them: 0.5 is the reject limit."""
        return ScoreScale(typical=self.typical_score, limit=self.reject_score)

    @property
    def pixel_scale(self) -> ScoreScale:
        """Cells of the map as people see them: 0.5 is where a defect region begins."""
        return ScoreScale(typical=self.typical_peak, limit=self.pixel_score)


class ReviewPrice(_Strict):
    """What one review budget costs and what it catches, at the reject limit of the engine."""

    review_budget: Annotated[float, Field(gt=0, lt=1)]
    review_score: Number
    """The review limit that it gives."""
    rejected: Share | None
    """Share of the held-out good images above a reject limit that was drawn without them; None: not countable."""
    in_review: Share | None
    """Likewise, between the two limits; None where `rejected` is."""
    escaped: Annotated[int, Field(ge=0)] | None
    """Labelled defects at or below `review_score`; None: none are labelled."""


class Reviews(_Strict):
    """The review budgets that a person may choose from."""

    chosen_budget: Annotated[float, Field(gt=0, lt=1)]
    """That of the engine's own review limit; one of `prices`."""
    parts_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Of the line; None: not given."""
    labelled_defects: Annotated[int, Field(ge=0)]
    prices: Annotated[tuple[ReviewPrice, ...], Field(strict=False, max_length=16)]
    """From the smallest budget on."""


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
    """True when most images were grey."""


VariantsAnswer = Literal["keep", "remove"]
VARIANTS_ANSWERS: tuple[VariantsAnswer, ...] = ("keep", "remove")
"""What a person says of images that look alike: good parts, to be learned; or defects, to be left out."""


class PossibleVariants(_Strict):
    """Images that look alike and unlike the rest: a variant until a person says that they are defects."""

    images: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1, max_length=100)]
    """How many images each group has, largest group first."""
    answer: VariantsAnswer | None = None
    """What a person said when the engine was taught; `keep`: they were learned. None: nobody was asked yet."""
    rejected_share_if_good: Share
    """Of good parts that the limits reject when all these images show good parts."""
    review_share_if_good: Share
    """The same, rejected or in review."""


_MAP_SCORES = {"spatial": MapScore(hottest_share=0.02, log=True), "memory": MapScore(hottest_share=0.01)}
"""Of engines that were made before the manifest said it."""


class KnownDefectsRecord(_Strict):
    """What labelled defects added to the graph, judged by leaving each out with its twins."""

    labelled: Annotated[int, Field(ge=1)]
    """Images, none of which was learned as good."""
    masks: Annotated[int, Field(ge=0)]
    """Of these, with a mask."""
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """0: the graph is as it would be without them."""
    auroc_before: Share
    """Labelled images against held-out good ones, by the detector without labels."""
    auroc_after: Share | None
    """By heads that saw neither; None: too few images to leave some out."""
    passed_before: Annotated[int, Field(ge=0)]
    """Labelled images at or below the review limit that holds without labels."""
    passed_after: Annotated[int, Field(ge=0)] | None


class ModelFile(_Strict):
    """The ONNX graph: `image` uint8 (n, height, width, 3) -> `image_score` (n,), `anomaly_map` (n, h, w).

    With kinds of defects there is a third output, `kinds` float32 (n, kinds).
    """

    file: Literal["model.onnx"] = "model.onnx"
    sha256: Sha256


Variant = Literal["fp16", "int8"]
"""Other precisions of the graph, for GPUs: backbone and coupling subnets in half precision; the backbone in 8 bits.

Flow state, distances and scores are float32 in all of them.
"""


class VariantFile(_Strict):
    """`model_VARIANT.onnx`: the same inputs and outputs, and how near it came to `model.onnx` in ONNX Runtime."""

    sha256: Sha256
    parity: ParityReport


class FrameFile(_Strict):
    """`frame.onnx`: `image` uint8 (1, height, width, 1 or 3), as the camera gives it -> `pixels` uint8 (1, h, w, 3), as
    the model takes it. For GPUs; the processor does the same without a graph.
    """

    sha256: Sha256
    width: Pixels
    height: Pixels
    grey: bool


class GoldenFile(_Strict):
    """An image in the model's input size and what the engine said of it when it was released."""

    file: Annotated[str, Field(pattern=r"^golden/[a-z0-9_-]{1,60}\.png$")]
    sha256: Sha256
    image_score: Number
    map_peak: Number


class Draft(_Strict):
    """What a manifest says of an engine before its files are written."""

    format_version: Literal[1] = 1
    detector: Text
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    input: InputSpec
    map: MapSpec
    map_score: MapScore | None = None
    """None: the image score is not a function of the map, or the engine was made before this was written down."""
    location: LocationSpec = NoLocation()
    """How the part is found in the image."""
    ignore: Annotated[tuple[Polygon, ...], Field(max_length=32)] = ()
    """Regions that do not count, relative to the located part (the whole image without location)."""
    golden_tolerance: Annotated[float, Field(gt=0, le=1)]
    """Allowed difference of a golden score: absolute below 1, relative above."""
    calibration: Calibration
    reviews: Reviews | None = None
    """None: made before other review budgets were priced."""
    suspects: KnownDefectsRecord | None = None
    """Of images that refinement left out: examples of defects until a person says otherwise. They never reject."""
    known_defects: KnownDefectsRecord | None = None
    """None: no labelled defects were given, or the engine was made before they counted."""
    kinds: KindsRecord | None = None
    """None: no two kinds of labelled defects were named, or the engine was made before they could be."""
    detection: Detection | None = None
    """What the engine finds; None: not measured, or the engine was made before it was."""
    picture_bands: PictureBands | None = None
    """What good pictures look like; None: the engine was made before it was learned."""
    held_out: Annotated[tuple[Number, ...], Field(strict=False, max_length=MAX_HELD_OUT)] = ()
    """Image scores of good images by models that had not seen them, ascending; empty: made before they were kept."""
    depth: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """How its images were made of heights (`engines.inputs.depth_spec`); None: they were not."""
    training: TrainingRecord
    possible_variants: PossibleVariants | None = None
    """None: no images that were left out look alike, or the engine was made before this was looked for."""
    software: Annotated[dict[Text, Text], Field(max_length=50)]
    """Package -> version that made this engine."""


class Manifest(Draft):
    """The whole of `manifest.json`: the draft, and the hash of every file."""

    engine_id: Sha256
    """Hash over everything else in the manifest, which holds the hashes of all other files."""
    model: ModelFile
    variants: dict[Variant, VariantFile] = {}
    """The other graphs that this engine holds; often none."""
    golden: Annotated[tuple[GoldenFile, ...], Field(strict=False, min_length=1, max_length=16)]
    sample: Annotated[tuple[Sha256, ...], Field(strict=False, max_length=MAX_SAMPLE)] = ()
    """Good images in the model's input size, `sample/00.png` and so on: what runtimes are compared on."""
    pictures: dict[PictureName, Sha256] = {}
    """What `location` and `ignore` need, in `location/NAME.png`."""
    frame: FrameFile | None = None
    """None: images of several sizes, or a part that has to be found first."""

    @property
    def score_rule(self) -> MapScore | None:
        """How the image score follows from the map, by the manifest or by what the detector always did."""
        return self.map_score or _MAP_SCORES.get(self.detector)

    @model_validator(mode="after")
    def _bounded(self) -> Manifest:
        images = len(self.golden) + len(self.sample) + len(self.pictures)
        size = images * self.input.width * self.input.height * self.input.channels
        if size > MAX_DECODED_BYTES:
            raise ValueError(f"its {images} images decode to {size} bytes, at most {MAX_DECODED_BYTES} are allowed")
        return self

    def as_json(self) -> str:
        """The text of `manifest.json`."""
        empty = {name for name in _NOT_WRITTEN_EMPTY if not getattr(self, name)}
        return self.model_dump_json(indent=2, exclude=empty) + "\n"

    def content_id(self) -> str:
        """The engine id that this content must have."""
        content = self.model_dump(mode="json", exclude={"engine_id"})
        for name in _LATER:
            if not content[name]:  # engines that were made before it existed keep their id
                del content[name]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
