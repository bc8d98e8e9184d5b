"""Which defect is drawn into which good picture, and its score by a model that did not learn the picture.

Cross-fitting makes models that did not learn some of the kept images each. While it is there a model is shown its
images with defects in them, a picture at a time with every kind and contrast in a size of its own; limits come later.
So no model is fitted twice for this, and a score here is of the kind that the limits are drawn from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.bundle.detection import CONTRASTS, KINDS, Curve, DefectKind, Detectability, Detection
from engines.bundle.manifest import Calibration
from engines.errors import PartNotLocated
from engines.location.location import Location
from engines.preprocess import prepare
from engines.training.images.dataset import read_image
from engines.training.location.locate import Located
from engines.training.synthesis.defects import Image, blur_of, blurred, sign_of, stamp_of
from engines.training.synthesis.fit import fit
from engines.training.synthesis.places import free_of, paint_somewhere, short_side

TRIALS = 60
"""Of each curve: what MIL-HDBK-1823A asks for when the reply is hit or miss."""
SMALLEST_SHARE, LARGEST_SHARE = 1 / 100, 1 / 2
"""Of the part's short side."""
SMALLEST_PX = 2.0
EXAMPLES = 12
"""Pictures that say how large the part is and how sharp."""
MAX_TRIALS = 1000
MIN_TRIALS = 20
"""With fewer a curve says next to nothing."""
MIN_COUNTED = 10
"""With fewer that count there is no curve: the defect does not fit the part, or would not show on it."""
NOT_LOCATED = -np.inf
"""Score of a picture in which the defect hides the part: counted as not found, although the line reports an error."""

Score = Callable[[Image], NDArray[np.float32]]
"""(n, height, width, 3) in the model's input -> (n,) image scores."""


@dataclass(frozen=True)
class Defect:
    """What is drawn into a picture."""

    number: int
    """The same number and seed draw the same defect."""
    image: int
    """Position in the data set."""
    kind: DefectKind
    contrast: int
    size_px: float


@dataclass(frozen=True)
class Trial:
    """A defect, and the score of the picture with it."""

    defect: Defect
    score: float


class Trials:
    """Collects the trials of one teaching; `show` is called while cross-fitting has a model.

    Args:
        located: the images of the teaching.
        trials: of each curve; at least `MIN_TRIALS`.
        folds: how many models there will be.
        on_progress: (done, total) pictures.
    """

    def __init__(
        self,
        located: Located,
        *,
        seed: int,
        trials: int = TRIALS,
        folds: int,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._located = located
        self._seed = seed
        self._images = -(-trials // folds)
        """Of each fold."""
        self._folds = folds
        self._on_progress = on_progress
        self._shown = 0
        examples = _examples(located)
        self.smallest_px, self.largest_px = _sizes(examples, located.location)
        self.blur_px = float(np.median([blur_of(image) for image in examples]))
        self.done: list[Trial] = []

    @property
    def pictures(self) -> int:
        """How many pictures defects are drawn into."""
        return self._images * self._folds

    def show(self, unseen: NDArray[np.intp], score: Score) -> None:
        """Scores defects in pictures of `unseen`, which the model behind `score` has not learned."""
        if not len(unseen):
            return
        rng = np.random.default_rng([self._seed, self._shown])
        repeats = -(-self._images // len(unseen))
        for image in np.concatenate([rng.permutation(unseen) for _ in range(repeats)])[: self._images]:
            self._show_image(int(image), score)
            self._shown += 1
            self._on_progress(self._shown, self.pictures)

    def draw(self, trial: Trial) -> tuple[Image, Image]:
        """The picture of a trial again, and the mask of its defect."""
        image = read_image(self._located.dataset.files[trial.defect.image].path)
        drawn = self._painted(image, free_of(image, self._located.location), trial.defect)
        assert drawn is not None
        return drawn

    def detection(
        self, limits: Calibration, clean: Mapping[int, float], pixel_size_mm: float | None = None
    ) -> Detection | None:
        """The curves at these limits; None when there is none.

        Args:
            clean: image -> its score without a defect, by the same model. Where that is above a limit already, finding
                a defect is no merit: such trials do not count at that limit.
        """
        curves = []
        for kind in KINDS:
            for contrast in CONTRASTS.values():
                trials = [each for each in self.done if (each.defect.kind, each.defect.contrast) == (kind, contrast)]
                at = [
                    (limit, [each for each in trials if clean[each.defect.image] <= limit])
                    for limit in (limits.review_score, limits.reject_score)
                ]
                if min(len(counted) for _, counted in at) < MIN_COUNTED:
                    continue
                review, reject = (self._curve(counted, limit) for limit, counted in at)
                curves.append(Detectability(kind=kind, contrast=contrast, review=review, reject=reject))
        if not curves:
            return None
        return Detection(
            curves=tuple(curves),
            smallest_px=self.smallest_px,
            largest_px=self.largest_px,
            pixel_size_mm=pixel_size_mm,
            seed=self._seed,
        )

    def _curve(self, trials: Sequence[Trial], limit: float) -> Curve:
        sizes = np.array([each.defect.size_px for each in trials])
        return fit(sizes, np.array([each.score > limit for each in trials]), self.smallest_px, self.largest_px)

    def inputs_of(self, index: int) -> tuple[list[Defect], list[Image], list[Defect]]:
        """The next defects, all of which go into picture `index`, and the picture with each in the model's input; then
        those defects which hide the part."""
        image = read_image(self._located.dataset.files[index].path)
        drawn: list[Defect] = []
        inputs: list[Image] = []
        hiding: list[Defect] = []
        try:
            free = free_of(image, self._located.location)
        except PartNotLocated:
            return drawn, inputs, hiding
        for place, (kind, contrast) in enumerate((kind, each) for kind in KINDS for each in CONTRASTS.values()):
            number = self._shown * len(KINDS) * len(CONTRASTS) + place
            defect = Defect(number, index, kind, contrast, self._size(place))
            painted = self._painted(image, free, defect)
            if painted is None:
                continue
            try:
                inputs.append(prepare(painted[0], self._located.input, self._located.location).pixels)
            except PartNotLocated:
                hiding.append(defect)
                continue
            drawn.append(defect)
        return drawn, inputs, hiding

    def _show_image(self, index: int, score: Score) -> None:
        drawn, inputs, hiding = self.inputs_of(index)
        self.done += [Trial(defect, NOT_LOCATED) for defect in hiding]
        scores = score(np.stack(inputs)).tolist() if inputs else []
        self.done += [Trial(defect, scored) for defect, scored in zip(drawn, scores, strict=True)]

    def _size(self, place: int) -> float:
        """Even on a log scale: each curve goes through all of them, in an order of its own."""
        total = self.pictures
        order = np.random.default_rng([self._seed, 1, place]).permutation(total)
        share = (order[self._shown] + 0.5) / total
        return float(self.smallest_px * (self.largest_px / self.smallest_px) ** share)

    def _painted(self, image: Image, free: NDArray[np.bool_], defect: Defect) -> tuple[Image, Image] | None:
        rng = np.random.default_rng([self._seed, 2, defect.number])
        stamp = blurred(stamp_of(defect.kind, defect.size_px, rng), self.blur_px)
        return paint_somewhere(image, free, stamp, sign_of(defect.kind, rng) * defect.contrast, rng)


def _examples(located: Located) -> list[Image]:
    """Some of the pictures, evenly spread."""
    files = located.dataset.files
    picks = np.unique(np.linspace(0, len(files) - 1, min(EXAMPLES, len(files))).round().astype(int))
    return [read_image(files[index].path) for index in picks]


def _sizes(examples: Sequence[Image], location: Location) -> tuple[float, float]:
    """The smallest and the largest defect to try, px."""
    side = float(np.median([short_side(image, location) for image in examples]))
    smallest = max(SMALLEST_PX, SMALLEST_SHARE * side)
    return smallest, max(4 * smallest, LARGEST_SHARE * side)
