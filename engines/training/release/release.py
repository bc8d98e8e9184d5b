"""What a trained detector is released as: its graphs, golden images, and the sample that runtimes are compared on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines import said
from engines.bundle.files import FRAME_FILE, variant_file
from engines.bundle.manifest import Calibration, InputSpec, Variant
from engines.bundle.reading import FrameGraph, Golden, Graph
from engines.detectors.base import Detector
from engines.errors import ExportError
from engines.inputs.depth import relief
from engines.location.location import Location
from engines.location.pose import turned_placement
from engines.parity_report import HALF, INT8, Tolerance
from engines.preprocess import place, prepare
from engines.runtimes.onnx import OnnxRuntime, runtime_name
from engines.runtimes.parity import ParityImage, Side, compare, parity_images
from engines.training.images.dataset import MAJORITY, read_image
from engines.training.learn import Learned
from engines.training.location.locate import Located
from engines.training.release.export import check_parity, export_onnx, map_spec
from engines.training.release.frame_graph import check_frame_graph, make_frame_graph
from engines.training.release.int8.quantise import quantised_backbone

SAMPLE = 16
"""Good images kept to compare runtimes on, beside the golden ones."""
FIT_IMAGES = 64
"""Good images to which the graph in 8 bits is fitted."""
GATE_IMAGES = 64
"""Good images, none of these, on which the graph in 8 bits is judged, and at most as many known defective ones."""
SPARED_SHARES = (0.0, 1 / 8, 1 / 4, 3 / 8)
"""Of the convolutions that could be in 8 bits, the first ones stay in float32: as few as the gate asks for."""
INT8_AT_TEACHING = INT8.model_copy(update={"score_share": 0.8 * INT8.score_share, "map_share": 0.8 * INT8.map_share})
"""Leaves room for a GPU: sums in another order round some values the other way."""
ON_A_LIMIT = 0.05
"""Nearer to a limit than this share of the way to the reject limit, an image changes its verdict at a breath."""
FRAMES = 4
"""Images, as the camera gave them, on which the graph that prepares them is checked."""
MAX_NAME = 100
"""Characters of an image's name in a report."""


@dataclass(frozen=True)
class Released:
    """What goes into the engine."""

    model: bytes
    """The graph in float32: the reference."""
    variants: dict[Variant, Graph]
    golden: tuple[Golden, ...]
    sample: tuple[NDArray[np.uint8], ...]
    frame: FrameGraph | None
    """What prepares frames on a GPU, where that is the same for all of them."""
    parity: float
    """Largest difference between torch and ONNX Runtime."""
    warnings: tuple[str, ...]
    """Graphs that were refused, with the numbers."""


def release(
    detector: Detector,
    located: Located,
    learned: Learned,
    *,
    threads: int,
    known_bad: Sequence[int],
    int8: bool,
    on_int8: Callable[[int, int], None] = lambda _done, _total: None,
) -> Released:
    """Export a trained detector, prove that the graphs compute the same, and pick what an engine is checked on.

    Args:
        detector: trained.
        located: its images.
        learned: what of them it learned.
        threads: of ONNX Runtime.
        known_bad: positions of defective images, which join the judgement of the graph in 8 bits.
        int8: also make that graph.
        on_int8: called with (done, total) as that proceeds.

    Raises:
        ExportError: the float32 graph does not compute what torch computes.
    """
    spec = located.input
    limits = learned.calibration
    model = export_onnx(detector, spec)
    golden_images = _golden_images(located, learned)
    with OnnxRuntime(model, spec, map_spec(detector), threads=threads) as runtime:
        reference = Side(runtime_name(), runtime)
        parity = check_parity(detector, runtime, np.stack(list(golden_images.values())))
        golden = tuple(_golden(name, image, runtime) for name, image in golden_images.items())
        sample = _sample(located, learned, runtime)
        images = parity_images(golden, sample)
        variants: dict[Variant, Graph] = {}
        warnings: list[str] = []

        def admit(
            variant: Variant, made: Iterable[tuple[bytes, str]], on: Sequence[ParityImage], allowed: Tolerance
        ) -> None:
            """The first that passes; none: says what the last one lacks."""
            try:
                for graph, precision in made:
                    with OnnxRuntime(graph, spec, map_spec(detector), threads=threads) as other:
                        report = compare(reference, Side(runtime_name(precision), other), on, limits, allowed)
                    if report.passed:
                        variants[variant] = Graph(graph, report)
                        return
            except ExportError as problem:
                warnings.append(said.NOT_MADE(file=variant_file(variant), why=problem))
            else:
                warnings.append(said.REFUSED(file=variant_file(variant), why=report.refusal()))

        admit("fp16", _in_half(detector, spec), images, HALF)
        if int8:
            fitted, judged = _split_for_int8(located, learned, known_bad)
            admit("int8", _in_8_bits(model, fitted, threads, on_int8), [*images, *judged], INT8_AT_TEACHING)
        try:
            frame = _frame(located)
        except ExportError as problem:
            frame = None
            warnings.append(said.REFUSED(file=FRAME_FILE, why=problem))
    return Released(model, variants, golden, sample, frame, parity, tuple(warnings))


def prepared(located: Located, index: int) -> NDArray[np.uint8]:
    """An image of the data set as the model sees it."""
    return prepare(read_image(located.dataset.files[index].path), located.input, located.location).pixels


def enlarged(located: Located, index: int, long_side_px: int) -> NDArray[np.uint8]:
    """The same for people: as sharp as the image itself, its longer side at most `long_side_px`; nothing is filled."""
    spec, location = located.input, located.location
    image = read_image(located.dataset.files[index].path)
    pose = location.locate(image)
    scale = 1.0
    if pose is not None:
        scale = 1.0 / turned_placement(image, pose, spec).scale
    else:
        content = place(image.shape[1], image.shape[0], spec)
        scale = max(content.width / image.shape[1], content.height / image.shape[0])
    factor = min(long_side_px / max(spec.width, spec.height), max(1.0, 1.0 / scale))
    size = {"width": max(1, round(spec.width * factor)), "height": max(1, round(spec.height * factor))}
    pictures = dict(location.pictures)
    pictures.pop("fill", None)
    shown = prepare(image, spec.model_copy(update=size), Location(location.spec, pictures=pictures)).pixels
    return relief(shown, located.dataset.files[index].depth)


def _in_half(detector: Detector, spec: InputSpec) -> Iterator[tuple[bytes, str]]:
    """The one graph to try, and its precision as reports name it; made when it is asked for."""
    yield export_onnx(detector, spec, "float16"), "fp16"


def _in_8_bits(
    model: bytes, images: Sequence[NDArray[np.uint8]], threads: int, on_progress: Callable[[int, int], None]
) -> Iterator[tuple[bytes, str]]:
    """Graphs to try, each with less of the backbone in 8 bits, and their precisions as reports name them."""
    for share in SPARED_SHARES:
        made = quantised_backbone(model, images, spared_share=share, threads=threads, on_progress=on_progress)
        yield made.model, f"int8 ({made.share:.0%} of the backbone's multiply-accumulates)"


def _golden_images(located: Located, learned: Learned) -> dict[str, NDArray[np.uint8]]:
    """The best, the median and the worst good image, and the median one with a painted defect."""
    order = np.argsort(learned.held_out.image_scores, kind="stable")
    picks = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    images = {name: prepared(located, int(learned.refinement.kept[pick])) for name, pick in picks.items()}
    painted = images["median"].copy()
    height, width = painted.shape[:2]
    spot = painted[height // 2 - height // 16 : height // 2 + height // 16, width // 3 : width // 3 + width // 8]
    spot[:] = 255 - spot // 2
    return {**images, "painted": painted}


def _golden(name: str, image: NDArray[np.uint8], runtime: OnnxRuntime) -> Golden:
    scores, maps = runtime.infer(image[np.newaxis])
    return Golden(name, image, float(scores[0]), float(maps[0].max()))


def _sample(located: Located, learned: Learned, runtime: OnnxRuntime) -> tuple[NDArray[np.uint8], ...]:
    """Good images of all held-out scores, without those that lie on a limit."""
    order = np.argsort(learned.held_out.image_scores, kind="stable")
    picked = order[np.unique(np.linspace(0, len(order) - 1, SAMPLE).round().astype(np.intp))]
    images = [prepared(located, int(index)) for index in learned.refinement.kept[picked]]
    return tuple(
        image for image in images if not _on_a_limit(float(runtime.infer(image[np.newaxis])[0][0]), learned.calibration)
    )


def _on_a_limit(score: float, limits: Calibration) -> bool:
    margin = ON_A_LIMIT * (limits.reject_score - limits.typical_score)
    return min(abs(score - limits.reject_score), abs(score - limits.review_score)) < margin


def _frame(located: Located) -> FrameGraph | None:
    """None: there is nothing to prepare, or it differs from image to image. Raises ExportError."""
    kinds = Counter((file.width, file.height, file.grey) for file in located.dataset.files)
    (((width, height, grey), most),) = kinds.most_common(1)
    if most < MAJORITY * kinds.total() or located.location.spec.method != "none":
        return None
    if (width, height, grey) == (located.input.width, located.input.height, False) and not located.location.ignore:
        return None
    graph = make_frame_graph(width, height, located.input, located.location, grey=grey)
    files = [file for file in located.dataset.files if (file.width, file.height, file.grey) == (width, height, grey)]
    images = [read_image(files[index].path) for index in _spread(np.arange(len(files)), FRAMES)]
    check_frame_graph(graph, images, located.input, located.location)
    return graph


def _split_for_int8(
    located: Located, learned: Learned, known_bad: Sequence[int]
) -> tuple[list[NDArray[np.uint8]], list[ParityImage]]:
    """Images to fit to, and others to judge by: every second good image each, in the order of capture."""
    names = [file.path.name for file in located.dataset.files]
    kept = np.sort(learned.refinement.kept)
    fitted, good = (_spread(kept[start::2], count) for start, count in ((0, FIT_IMAGES), (1, GATE_IMAGES)))
    bad = _spread(np.array(sorted(known_bad), np.intp), GATE_IMAGES)
    judged = [
        ParityImage(f"{kind}/{names[index]}"[:MAX_NAME], prepared(located, index))
        for kind, indices in (("good", good), ("defective", bad))
        for index in indices
    ]
    return [prepared(located, index) for index in fitted], judged


def _spread(indices: NDArray[np.intp], count: int) -> list[int]:
    """At most `count` of them, evenly spread."""
    if len(indices) == 0:
        return []
    picks = np.unique(np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(np.intp))
    return [int(index) for index in indices[picks]]
