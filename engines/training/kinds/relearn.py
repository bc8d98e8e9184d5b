"""Kinds of an engine learned anew from labelled images: the same engine, but for what it calls its rejects.

    looks of the labelled images ─┐
    looks kept from the teaching ─┴► groups of twins ─► fit ─► graphs ─► as before? ─► a new engine

Takes seconds, since nothing but means is learned. What is copied byte for byte is checked twice: by a hash over
everything that scores and maps come from, and by running golden images and sample before and after.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.kinds import MAX_KINDS, UNKNOWN_KIND, kinds_in_words
from engines.bundle.manifest import Manifest, Variant
from engines.bundle.reading import Bundle, Graph, read_bundle
from engines.bundle.reference import ReferencePicture, read_reference
from engines.bundle.writing import write_bundle
from engines.errors import BundleError, ExportError, TrainingError
from engines.parity_report import FLOAT32
from engines.runtimes.onnx import OnnxRuntime
from engines.runtimes.parity import ParityImage, Side, compare, parity_images
from engines.training.images.grouping import connected, twin_groups
from engines.training.kinds.dossier import Entry, write_dossier
from engines.training.kinds.fit import MIN_KINDS, Examples, FoundKinds, fit_kinds
from engines.training.kinds.graph import with_kinds
from engines.training.kinds.kept import FILE, Kept, kept_of, read_kept
from engines.training.kinds.looks import Look, Looks

OnStep = Callable[[str, int, int], None]
"""(name of the step, done, total)."""


@dataclass(frozen=True)
class LabelledImage:
    """An image of a part that people call defective, and of which kind."""

    path: Path
    kind: str
    part: str = ""
    """SESSION/ACQUISITION_ID/CAMERA on record; empty: of a folder."""


@dataclass(frozen=True)
class Relearned:
    """What came of it."""

    manifest: Manifest
    found: FoundKinds
    labelled: int
    """Images of the labels that were learned."""
    from_teaching: int
    """Images beside them that were labelled when the engine was taught."""
    left_out: Mapping[str, int]
    """Why images were left out, and how many."""
    dropped: tuple[str, ...]
    """Kinds that the engine knew before and does not know any more."""
    largest_difference: float
    """Of scores and maps before and after, over golden images and sample; 0: the same to the bit."""
    seconds: Mapping[str, float]
    """By step."""

    def as_dict(self) -> dict[str, object]:
        """As JSON."""
        record = self.found.record
        return {
            "kinds": dict(zip(record.names, record.labelled, strict=True)),
            "in_words": kinds_in_words(record),
            "labelled": self.labelled,
            "from_teaching": self.from_teaching,
            "left_out": dict(self.left_out),
            "dropped": list(self.dropped),
            "largest_difference": self.largest_difference,
            "seconds": {name: round(spent, 2) for name, spent in self.seconds.items()},
        }


@dataclass
class _Clock:
    """How long each step took."""

    on_step: OnStep
    spent: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def ended(self, step: str) -> None:
        now = time.monotonic()
        self.spent[step], self._began = now - self._began, now


def relearn(
    engine: Path,
    images: Sequence[LabelledImage],
    output: Path,
    *,
    cache: Path,
    threads: int,
    on_record: Mapping[str, str] | None = None,
    labels_only: bool = False,
    on_step: OnStep = lambda _step, _done, _total: None,
) -> Relearned:
    """Writes the engine in folder `engine` with the kinds of these images to the new directory `output`.

    Args:
        images: labelled ones, of which there is a file.
        cache: folder that keeps what images look like.
        threads: of ONNX Runtime.
        on_record: all labels of kinds that hold now, by SESSION/ACQUISITION_ID[/CAMERA], also of parts whose image is
            gone: those that the engine has learned before count as long as their label holds.
        labels_only: kinds of the teaching do not count unless they are on record.

    Raises:
        TrainingError: fewer than two kinds, a kind would be forgotten, nothing is new, or the engine cannot have kinds.
        BundleError: the engine cannot be read, or the new one not be written.
        RuntimeFailure: the graph cannot be run.
    """
    clock = _Clock(on_step)
    bundle = read_bundle(engine)
    looks = Looks(bundle, cache, threads=threads)
    known, left_out = _looked_at(looks, images, lambda done, total: on_step("looks", done, total))
    clock.ended("looks")
    on_step("kinds", 0, 3)
    wholes = [looks.of_prepared(image).whole for image in (*bundle.sample, *(one.image for one in bundle.golden))]
    learned = _learned(engine, known, wholes, {} if on_record is None else on_record, labels_only)
    dropped = _check(bundle, learned.examples, labels_only)
    found = fit_kinds(learned.examples)
    clock.ended("fit")
    on_step("kinds", 1, 3)
    model, variants = _graphs(bundle, found)
    if model == bundle.model and all(graph.model == bundle.variants[name].model for name, graph in variants.items()):
        raise TrainingError(
            f"nothing is new: the engine has learned these {len(learned.shas)} labelled images already; review parts "
            "and name their classes, then learn again"
        )
    difference = _compared(bundle, model, variants, threads)
    clock.ended("graphs")
    on_step("kinds", 2, 3)
    entry = Entry(
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        from_engine_id=bundle.manifest.engine_id,
        scoring_sha256=looks.scoring,
        largest_difference=difference,
        record=found.record,
        labels=dict(Counter(learned.examples.names)),
        dropped=dropped,
    )
    kept = kept_of(learned.examples, learned.shas, learned.parts)
    manifest = _written(bundle, output, model, variants, entry, kept)
    clock.ended("written")
    on_step("kinds", 3, 3)
    teaching = learned.from_teaching
    return Relearned(
        manifest, found, len(learned.shas) - teaching, teaching, left_out, dropped, difference, clock.spent
    )


@dataclass(frozen=True)
class _Known:
    """A labelled image and what it looks like."""

    image: LabelledImage
    sha256: str
    look: Look


@dataclass(frozen=True)
class _Learned:
    """What kinds are fitted to, in the order of the examples."""

    examples: Examples
    parts: tuple[str, ...]
    """Names of their labels on record."""
    shas: tuple[str, ...]
    """SHA-256 of the images."""
    from_teaching: int
    """How many of them are on no record, and known from the teaching of the engine."""


def _looked_at(
    looks: Looks, images: Sequence[LabelledImage], on_image: Callable[[int, int], None]
) -> tuple[list[_Known], dict[str, int]]:
    """Each different image once, and why others were left out."""
    left_out, found = Counter[str](), dict[str, _Known]()
    wanted = [one for one in images if one.kind != UNKNOWN_KIND]
    if len(wanted) < len(images):
        left_out[f'class "{UNKNOWN_KIND}" is what the station says of no kind'] = len(images) - len(wanted)
    for one, (sha256, look) in zip(wanted, looks.of_files([one.path for one in wanted], on_image), strict=True):
        if isinstance(look, str):
            left_out[look] += 1
        elif sha256 in found and found[sha256].image.kind != one.kind:
            left_out[f'the same image is "{found[sha256].image.kind}" and "{one.kind}"'] += 1
        else:
            found.setdefault(sha256, _Known(one, sha256, look))
    return list(found.values()), dict(left_out)


def _learned(
    engine: Path,
    known: Sequence[_Known],
    good: Sequence[NDArray[np.float16]],
    on_record: Mapping[str, str],
    labels_only: bool,
) -> _Learned:
    """The known images, and those that the engine has learned before. `good`: of good images the coarsest features."""
    looks = [one.look.values.astype(np.float64) for one in known]
    names, parts = [one.image.kind for one in known], [one.image.part for one in known]
    shas, groups = [one.sha256 for one in known], _groups(known, good).tolist()
    there, new_groups = set(shas), dict[int, int]()
    for look, name, group, sha256, part in _kept(engine, looks, on_record, labels_only):
        if sha256 not in there:
            looks.append(look)
            names.append(name)
            parts.append(part)
            shas.append(sha256)
            groups.append(new_groups.setdefault(group, len(known) + len(new_groups)))
    most = {name for name, _ in Counter(names).most_common(MAX_KINDS)}
    chosen = [place for place, name in enumerate(names) if name in most]
    examples = Examples(
        np.array([looks[place] for place in chosen], np.float64).reshape(len(chosen), len(looks[0]) if looks else 0),
        tuple(names[place] for place in chosen),
        np.array([groups[place] for place in chosen], np.intp),
        np.arange(len(chosen)),
    )
    from_teaching = sum(place >= len(known) and not parts[place] for place in chosen)
    return _Learned(
        examples, tuple(parts[place] for place in chosen), tuple(shas[place] for place in chosen), from_teaching
    )


def _kept(
    engine: Path, looks: Sequence[NDArray[np.float64]], on_record: Mapping[str, str], labels_only: bool
) -> Iterator[tuple[NDArray[np.float64], str, int, str, str]]:
    """Of the images that the engine has learned before those that count still: look, kind, group, SHA-256, label."""
    from_dossier = read_kept(engine / DOSSIER_FOLDER / FILE, len(looks[0]) if looks else None)
    if from_dossier is None:
        return
    for look, name, group, sha256, part in zip(
        from_dossier.looks, from_dossier.names, from_dossier.groups, from_dossier.images, from_dossier.parts,
        strict=True,
    ):  # fmt: skip
        kind: str | None = name
        if part:  # the label may have changed, or be withdrawn
            kind = on_record.get(part) or on_record.get(part.rpartition("/")[0])
        elif labels_only:
            kind = None
        if kind is not None and kind != UNKNOWN_KIND:
            yield look.astype(np.float64), kind, int(group), sha256, part


def _groups(known: Sequence[_Known], good: Sequence[NDArray[np.float16]]) -> NDArray[np.intp]:
    """A number for each of the known; views of one part, and images that show nearly the same, have one together."""
    if not known:
        return np.zeros(0, np.intp)
    wholes = np.stack([*good, *(one.look.whole for one in known)])
    twins = twin_groups({"whole": wholes}, np.arange(len(wholes)))[len(good) :]
    parts = np.array([one.image.part.rpartition("/")[0] or str(place) for place, one in enumerate(known)])
    return connected((twins[:, np.newaxis] == twins) | (parts[:, np.newaxis] == parts))


def _check(bundle: Bundle, examples: Examples, labels_only: bool) -> tuple[str, ...]:
    """The kinds that are dropped. Raises TrainingError: fewer than two are left, or one would be forgotten unasked."""
    counts = Counter(examples.names)
    if len(counts) < MIN_KINDS:
        there = ", ".join(f"{name} ({count})" for name, count in counts.items()) or "none"
        raise TrainingError(
            f"{len(counts)} kinds of defects have a labelled image ({there}), at least {MIN_KINDS} are needed: review "
            "rejected parts and name the class of their defect"
        )
    before = bundle.manifest.kinds
    gone = () if before is None else tuple(name for name in before.names if name not in counts)
    if gone and not labels_only:
        raise TrainingError(
            f"the engine knows {', '.join(gone)}, of which no labelled image is there any more: it would be forgotten; "
            "label a part of it, or leave it out: station engine kinds --labels-only"
        )
    return gone


def _graphs(bundle: Bundle, found: FoundKinds) -> tuple[bytes, dict[Variant, Graph]]:
    """The float32 graph and the others, with these kinds. Raises ExportError."""
    size = bundle.manifest.map
    model = with_kinds(bundle.model, found.common, found.means, size)
    return model, {
        name: Graph(with_kinds(graph.model, found.common, found.means, size), graph.parity)
        for name, graph in bundle.variants.items()
    }


def _compared(bundle: Bundle, model: bytes, variants: Mapping[Variant, Graph], threads: int) -> float:
    """The largest difference of scores and maps before and after. Raises ExportError: it is over the tolerance.

    Sums may be added in another order where a value has one reader more. Other precisions are not made for the
    processor and slow there, so of them the golden images alone are run.
    """
    pairs = [(bundle.model, model, parity_images(bundle.golden, bundle.sample))]
    for name, graph in variants.items():
        pairs.append((bundle.variants[name].model, graph.model, parity_images(bundle.golden, ())))
    return max(_difference(bundle.manifest, *pair, threads) for pair in pairs)


def _difference(manifest: Manifest, before: bytes, after: bytes, images: Sequence[ParityImage], threads: int) -> float:
    with (
        OnnxRuntime(before, manifest.input, manifest.map, threads=threads) as old,
        OnnxRuntime(after, manifest.input, manifest.map, threads=threads) as new,
    ):
        sides = Side("the graph before", old), Side("the graph with other kinds", new)
        report = compare(*sides, images, manifest.calibration, FLOAT32)
    if not report.passed:
        raise ExportError(f"{report.refusal()}; nothing was written, report this")
    return max(report.max_score_difference, report.max_map_difference)


def _written(  # noqa: PLR0917
    bundle: Bundle, output: Path, model: bytes, variants: Mapping[Variant, Graph], entry: Entry, kept: Kept
) -> Manifest:
    """The new engine on disk, with its dossier and reference pictures."""
    pictures: tuple[ReferencePicture, ...] = ()
    with suppress(BundleError):  # no part of the engine: it is the same without
        pictures = read_reference(bundle.path, bundle.manifest)
    draft = bundle.manifest.model_copy(update={"kinds": entry.record, "created": entry.created})
    output.parent.mkdir(parents=True, exist_ok=True)
    with write_dossier(bundle.path, entry, model, kept, output.parent) as dossier:
        return write_bundle(
            output,
            draft=draft,
            model=model,
            golden=bundle.golden,
            pictures=bundle.pictures,
            variants=variants,
            sample=bundle.sample,
            frame=bundle.frame,
            dossier=dossier,
            reference=pictures,
        )
