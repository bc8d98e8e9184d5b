"""What engines and their training say: every sentence, by subject. `engines.sentences` says how they are translated.

A sentence that is changed here is no longer recognised in files that were written before: it stays English there. A
translator finds each text as a message id.
"""

from __future__ import annotations

from engines.sentences import Catalogue, Template

# The promise of the limits

PROMISE = Template(
    "Of 1000 good parts at most %(rejected)s are rejected and at most %(in_review)s rejected or in review."
)
HOLDS = Template("Each of the two holds in %(number)s of 10 teachings from as many images (%(count)s).")
HOLDS_ALIKE = Template(
    "Each of the two holds in %(number)s of 10 teachings from as many images (%(count)s, worth %(total)s "
    "independent ones)."
)
TAIL = Template(
    "The first rests on a model of the tail of the scores: without one it takes %(count)s independent images."
)
OUTLIERS = Template(
    "%(count)s of the %(total)s images score far beyond the others and were left out: look at them; the promise "
    "is for parts like the others."
)
DIRTY = Template(
    "The training images were dirty: defects not found among them widen the limits, so more defective parts "
    "pass. Label known-bad images for a bound on that, or teach again on cleaner ones."
)
DOUBTFUL = Template(
    "%(count)s images were left out on weak grounds and may be good: no part is rejected for being like them, it "
    "comes to review."
)
ESCAPES = Template(
    "Of defects like the %(count)s labelled ones at most %(share)s pass and at least %(other_share)s fail "
    "outright, each with %(third_share)s confidence."
)
VARIANTS_DO_NOT_COUNT = Template(
    "%(count)s images that look alike do not count: if they show good parts, up to %(share)s of the good parts "
    "are rejected and up to %(other_share)s are rejected or in review."
)

# What an engine finds

CLEAR, FAINT = Template("clear"), Template("faint")
BRIGHT_SPOTS, DARK_SPOTS = Template("bright spots"), Template("dark spots")
SCRATCHES, HAIRS, CUTS, STAINS = Template("scratches"), Template("hairs"), Template("cuts"), Template("stains")
SOFT_BRIGHTNESS = Template("soft brightness")
FROM_SIZE = Template("%(kind)s from %(size)s")
FINDS = Template("%(kind)s: finds %(found)s")
FINDS_AND_MISSES = Template("%(kind)s: finds %(found)s; does not find %(missed)s (up to %(size)s)")
MISSES = Template("%(kind)s: does not find %(missed)s (up to %(size)s)")
NOT_ASKED_FOR = Template("not measured: no synthetic defects were asked for")
DO_NOT_FIT = Template("not measured: the synthetic defects do not fit into the part, or would not show on it")
CHART_HEAD = Template("found, by size; %(kind)s: %(count)s of 255 grey levels")
NOT_FOUND = Template("not found")
FROM = Template("from %(size)s")

# The price of reviews

REVIEW_BUDGET = Template("review budget")
REJECTED_PER_HOUR = Template("good parts rejected per hour (%(number)s parts)")
IN_REVIEW_PER_HOUR = Template("good parts in review per hour (%(number)s parts)")
REJECTED_OF_1000 = Template("good parts rejected of 1000")
IN_REVIEW_OF_1000 = Template("good parts in review of 1000")
DEFECTS_PASS = Template("of %(count)s labelled defects pass")
CHOSEN = Template("%(number)s (chosen)")
NOT_COUNTABLE = Template("not countable")
TOO_FEW_TO_COUNT = Template("too few images to count what good parts cost")
COUNTED = Template(
    "of 1000 good images, held against limits drawn without them, %(rejected)s are rejected and %(in_review)s in review"
)
LABELS_TO_NARROW = Template(
    "%(count)s labelled defects: from %(total)s on they show whether --review-budget %(number)s lets more pass "
    "than %(other_number)s"
)
KEEP_THE_BUDGET = Template("keep the budget: with --review-budget %(number)s %(count)s of %(total)s defects more pass")
MAY_BE_NARROWED = Template(
    "--review-budget %(number)s lets none of %(count)s labelled defects more pass; of all, at most %(share)s "
    "more (90 %% confidence)"
)

# Labelled defects and their kinds

LABELLED = Template("%(count)s labelled")
LABELLED_WITH_MASKS = Template("%(count)s labelled, %(total)s with a mask")
CHANGE_NO_SCORE = Template("%(what)s: they change no score")
TOO_FEW_TO_LEAVE_OUT = Template(
    "%(what)s: weight %(number)s; too few to leave some out, so what it changes is not known"
)
NONE_IS_RANKED_BETTER = Template("%(what)s: they change no score, since none is ranked better by what the others teach")
KNOWN_DEFECTS = Template(
    "%(what)s: weight %(number)s. Each left out with its twins, %(count)s of %(total)s pass (%(before)s without "
    "labels), AUROC %(after_auroc)s (%(before_auroc)s)"
)
SUSPECTS = Template(
    "%(count)s images that were left out stand for defects: parts like them go to review, none is rejected for it "
    "(weight %(number)s). Look at them: those that you call defective make such parts fail, those that you call good "
    "are learned."
)
SUSPECTS_FIND_EACH_OTHER = Template(
    "Each left out with its twins, %(count)s of %(total)s pass (%(before)s without the others)."
)
ONE_IMAGE_A_KIND = Template(
    "%(named)s: suggested where a part does not pass; one image a kind, so how often it is right is not known"
)
KINDS = Template(
    "%(named)s: suggested where a part does not pass. Each of %(count)s left out with its twins, %(total)s are "
    "named rightly, %(number)s are unknown"
)

# What good pictures look like

BANDS_NOT_LEARNED = Template(
    "not learned: the engine was made before it could be; a lamp that fails looks like bad parts"
)
BAND = Template("mean grey %(grey)s, saturated %(saturated)s, sharpness %(sharpness)s (%(count)s images)")
BAND_AND_PLACE = Template(
    "mean grey %(grey)s, saturated %(saturated)s, sharpness %(sharpness)s, part at %(across)s of the width and "
    "%(down)s, size %(big)s (%(count)s images)"
)
CAMERA_BAND = Template(
    "%(camera)s: mean grey %(grey)s, saturated %(saturated)s, sharpness %(sharpness)s (%(count)s images)"
)
CAMERA_BAND_AND_PLACE = Template(
    "%(camera)s: mean grey %(grey)s, saturated %(saturated)s, sharpness %(sharpness)s, part at %(across)s of the width "
    "and %(down)s, size %(big)s (%(count)s images)"
)
AT_MOST, AT_LEAST = Template("at most %(number)s"), Template("at least %(number)s")
BETWEEN, ANY = Template("%(number)s to %(other_number)s"), Template("any")
BANDS_PROMISE = Template("at most %(share)s of good pictures are outside, each limit with confidence %(other_share)s")
BANDS_BY_MODEL = Template("%(promise)s; by a model of the tails: without one, as few images promise %(share)s a limit")

# Before an engine is used

ALIKE = Template("%(counts)s images that look alike")
COST = Template("if they are good parts, up to %(share)s of the good parts are rejected")
VARIANTS_QUESTION = Template(
    "%(alike)s were not learned: %(cost)s; look at them in %(page)s. Good parts? Teach again with --variants "
    "keep. Defects? Activate the engine with --variants remove, or teach with it"
)
THE_DOSSIER = Template("the dossier of the teaching")
FINDS_NOTHING = Template(
    "finds next to nothing (%(found)s): teach with sharper or more alike pictures, or activate it with the "
    "reason why it is used all the same: station engine activate --why TEXT"
)
THE_ENGINE = Template("the engine %(what)s")

# Notes of a teaching

VARIANTS_NOTE = Template(
    "%(alike)s were not learned: %(cost)s; are they good parts (--variants keep) or defects (--variants remove)?"
)
LEFT_OUT = Template("%(name)s was left out: %(why)s")
MANY_REMOVED = Template(
    "%(count)s of %(total)s images were removed because they do not look like the others: look at them in the "
    "dossier, they may be defects or a product variant"
)
CAPPED = Template("more images look like outliers than may be removed: the engine may have learned defects")
PROTECTED = Template("%(count)s known-good images look like outliers: are they good?")
ABOVE_THE_LIMIT = Template("%(share)s of the unseen good images lie above the reject limit: teach with more images")
FOUND_IN_FEW = Template("the part was found in only %(count)s of %(total)s images")
NOT_MORE_ALIKE = Template("one thing lies free in %(count)s of %(total)s images, but cut out they are not more alike")
NEAR_MISS = Template(
    "near miss: %(why)s, and there it varies in %(spread)s. The engine looks at the whole image and sees loose "
    "parts blurred. Look at the pictures of the location in the dossier: improve light and background, or teach "
    "with --location blob, which leaves %(count)s images out; such parts are REVIEW on the line"
)
OF_IMAGES = Template("%(count)s of %(total)s images %(what)s: %(names)s")
ARE_COLOUR = Template("are colour; the engine is for grey ones, as most are")
ARE_GREY = Template("are grey; the engine is for colour ones, as most are")
OTHER_SHAPE = Template("have another shape than most; those decide what the model sees")
SEVERAL_PAGES = Template("have several pages, of which the first is taken")
STORED_TURNED = Template("are stored turned (EXIF) and were turned upright")
NOT_MADE = Template("%(file)s was not made: %(why)s")
REFUSED = Template("%(file)s is refused: %(why)s")
CHECKPOINT_NOT_WRITTEN = Template(
    "checkpoint %(file)s cannot be written (%(why)s): the training goes on, but after a kill it would start this "
    "refinement again; free some space or choose another cache folder"
)
CHECKPOINT_NOT_USED = Template("checkpoint %(file)s is not used: %(why)s; refinement starts from the beginning")

# Why a part is not found in a picture

COVERS = Template(
    "what stands out from the background covers %(share)s of the image, a part covers %(other_share)s to "
    "%(third_share)s"
)
FOREIGN_EDGE = Template(
    "%(share)s of the image's edge differ from the background (allowed %(other_share)s): the part reaches over "
    "the edge, or the background is not even"
)
NOTHING_DIFFERS = Template("nothing differs from the background by more than %(number)s grey levels")
NOTHING_IS_STEEP = Template("nothing differs from the background by more than %(number)s grey levels per pixel")
SEVERAL_PARTS = Template("%(count)s things of similar size stand out from the background, expected one part")
OVER_THE_EDGE = Template("the part reaches over the edge of the image")
RESEMBLES = Template(
    "the image resembles the taught picture by %(number)s at best, at least %(other_number)s is needed"
)

# Graphs beside the float32 one

PARITY = Template(
    "score %(share)s and map %(other_share)s of the way to the limit, %(count)s of %(total)s verdicts changed"
)
PARITY_AND_RANKS = Template(
    "score %(share)s and map %(other_share)s of the way to the limit, ranks %(number)s, %(count)s of %(total)s "
    "verdicts changed"
)

# A candidate beside the active engine

IN_BLOCKS = Template("%(count)s images are in a block that was learned before: they count there.")
BESIDE_BLOCKS = Template("Learned beside the blocks of earlier teachings: %(names)s.")
PRIOR = Template(
    "Learned with a prior: sums of %(count)s images, sites: %(sites)s. Its weight in images: %(mean)s for what "
    "is usual at a place, %(covariance)s for how that varies. Limits are of these images alone."
)
PRIOR_NOT_USED = Template(
    "The prior (sums of %(count)s images, sites: %(sites)s) explains held-out images no better than these images "
    "alone: it was not used."
)
NO_ACTIVE = Template("There is no active engine to compare with.")
MAY_HAVE_LEARNED = Template("The active engine may have learned from these images: its figures may be too good.")
HAS_LEARNED = Template("The active engine learned from %(count)s of these images: its figures are too good.")
PASSED_COUNT_AS_GOOD = Template(
    "Parts that passed count as good because the engine of that time passed them: if the active engine was that "
    "one, it cannot look bad on them."
)
WITHOUT_A_LABEL = Template("Images without a label count neither as good nor as defective.")
NO_LABELLED = Template("No labelled defects: escapes are not measured. Label some defective parts.")
FEW_LABELLED = Template("Only %(count)s labelled defects: escapes are hardly known.")
KNEW_THE_DEFECTS = Template(
    "The training knew these labelled defects as such: it never learned them as good, but they may add to its "
    "score, and its bound on escapes comes from them. How it does on defects that it did not know: %(known)s."
)
NOT_MEASURED = Template("not measured")
MORE_DEFECTS_PASS = Template("The candidate lets more labelled defects pass than the active engine.")
MORE_GOOD_REJECTED = Template("The candidate rejects more good parts than the active engine.")
SUSPECTS_LEFT_OUT = Template(
    "%(count)s unlabelled REVIEW and FAIL parts are left out of the training: more than %(share)s of it might be "
    "defects; label parts, or raise records.pass_image_share"
)
LABELS_UNUSED = Template("%(count)s labels name parts that are not among these")
CONTINUED = Template("continued from an interrupted refresh")

CATALOGUE = Catalogue(value for value in tuple(globals().values()) if isinstance(value, Template))
"""All of them."""
