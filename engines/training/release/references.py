"""Which of the learned images are kept as small pictures beside the engine, for people to compare parts with."""

from __future__ import annotations

import numpy as np

from engines.bundle.reference import ReferencePicture, reference_picture
from engines.training.learn import Learned
from engines.training.location.locate import Located
from engines.training.refinement.records import Indices
from engines.training.release.release import prepared


def reference_pictures(located: Located, learned: Learned, most: int) -> tuple[ReferencePicture, ...]:
    """At most `most` pictures, spread over the order of capture."""
    spec = located.input
    return tuple(
        reference_picture(int(image), prepared(located, int(image)), spec) for image in reference_images(learned, most)
    )


def reference_images(learned: Learned, most: int) -> Indices:
    """The images that may stand for a good part: learned whole, and passed by a model that did not learn them.

    What refinement removed, what people called bad and what nobody has decided about was not learned; an image of which
    some places were left out may show dirt there.
    """
    refinement = learned.refinement
    fit = learned.held_out.image_scores <= learned.calibration.review_score
    if refinement.weights is not None:
        fit &= (refinement.weights[refinement.kept] != 0).all(axis=(1, 2))
    images = np.sort(refinement.kept[fit])
    places = np.linspace(0, len(images) - 1, min(most, len(images)))
    return np.asarray(images[places.round().astype(np.intp)], np.intp)
