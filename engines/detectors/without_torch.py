"""Names and numbers of the detectors' formulas that a process without PyTorch needs, too.

Kinds of defects are learned anew from the graph alone (`engines.training.kinds`), in seconds; loading PyTorch takes as
long as all of it.
"""

from __future__ import annotations

DETAIL = "detail"
"""Name of features that only the shown map is made of: they say nothing of which images are alike."""
STRETCH = 3.0
"""Of the compressed length, see `known_defects`; a factor that the regularisation of the weights counts on."""
TINY = 1e-12
"""Under the root: a z of length zero stays zero."""
HOTTEST_SHARE = 0.025
"""Of the cells of a map: those that stand for a defect where nobody has drawn it, and by which its kind is known."""
