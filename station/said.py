"""What monitoring, trends and the gate say: every sentence. `engines.sentences` says how pages translate them.

A sentence that is changed here is no longer recognised in what was written before: it stays English there.
"""

from __future__ import annotations

from engines.said import CATALOGUE as OF_ENGINES
from engines.sentences import Catalogue, Template
from station import noted, refusals
from station.codes import ERRORS, REASONS, WARNINGS

# The gate

SCORES_AS_ACTIVE = Template("it scores as the active engine does, to the byte: only the kinds of defects are others")
GRAPHS_AGREED = Template("the golden images agreed when it was loaded into the shadow")
GRAPHS_NOT_CHECKED = Template("its golden images are checked before it is used: station engine verify")
COMPARED_WITH_ANOTHER = Template("it was compared with another engine: station engine compare")
NOT_OF_A_REFRESH = Template("it is not of a refresh: station engine compare")
COMPARISON_NOT_READABLE = Template("its comparison cannot be read: station engine compare")
DEFECTS_THAT_PASS = Template("labelled defects that pass: %(count)s instead of %(total)s")
GOOD_REJECTED = Template("labelled good parts rejected: %(count)s instead of %(total)s")
LABELS_SEEN = Template("%(count)s labelled good and %(total)s defective parts")
TOO_FEW_LABELS = Template("too few labels: %(seen)s")
NO_LABEL_WORSE = Template("no label is judged worse (%(seen)s)")
NO_CHALLENGE_IN_SHADOW = Template("no challenge test was run while it was in the shadow: station challenge start")
RECORDS_NOT_READABLE = Template("the records cannot be read: %(problem)s")
NOT_IN_SHADOW = Template("it was not in the shadow of the active engine: station engine shadow")
MORE_THAN_ACTIVE, FEWER = Template("more than the active engine"), Template("fewer")
NO_MORE, NOT_ENOUGH_SEEN = Template("no more"), Template("not enough seen")
LABEL_THOSE = Template("label %(count)s parts that differ")
MASTER_IS = Template("%(name)s is %(verdict)s, %(expected)s expected")
MASTERS_SEEN = Template("it has seen %(count)s of %(total)s master parts")
MASTERS_RIGHT = Template("all %(count)s master parts of test %(total)s are judged rightly")
CURVE_NOT_MEASURED = Template("it was not measured of this version: teach again")
CURVE_OF_ACTIVE_NOT_MEASURED = Template("it was not measured of the active engine: nothing to compare with")
KIND_FROM = Template("%(contrast)s %(kind)s: from %(size)s instead of from %(other)s")
KIND_NOT_FOUND = Template("%(contrast)s %(kind)s: not found any more instead of from %(other)s")
FINDS_EVERY_KIND = Template("finds every kind of defect from no larger a size on")
VIRTUAL_NOT_RUN = Template("no virtual challenge of it: station challenge virtual --version")
VIRTUAL_NOT_READABLE = Template("the virtual challenges cannot be read: %(problem)s")
VIRTUAL_FOUND = Template("%(count)s of %(total)s synthetic defects found")
VIRTUAL_AS_TAUGHT = Template("%(seen)s, as when it was taught")
VIRTUAL_LESS = Template("%(seen)s, fewer than when it was taught")
VIRTUAL_LESS_THAN_ACTIVE = Template("%(seen)s, fewer than of the active engine: %(other)s")

# A run in the shadow

RUN = Template("%(parts)s parts; %(count)s differ; %(enough)s")
RUN_OFFERED = Template("%(parts)s parts, %(share)s of those it was offered; %(count)s differ; %(enough)s")
RUN_FAILED = Template("%(parts)s parts; %(count)s differ; %(total)s could not be judged; %(enough)s")
RUN_OFFERED_FAILED = Template(
    "%(parts)s parts, %(share)s of those it was offered; %(count)s differ; %(total)s could not be judged; %(enough)s"
)
ENOUGH_SEEN, NOT_ENOUGH_YET = Template("enough was seen"), Template("not enough was seen yet")

# Trends

MEAN_GREY, SATURATED_SHARE, SHARPNESS_SIGNAL = Template("mean grey"), Template("saturated share"), Template("sharpness")
TRIGGER_TO_FRAME, TRIGGER_JITTER = Template("trigger to frame"), Template("trigger jitter")
WAITING_FOR_ENGINE, ENGINE_TIME = Template("waiting for the engine"), Template("engine")
TRIGGER_TO_RESULT, EJECTOR_ERROR = Template("trigger to result"), Template("ejector error")
NOT_CONFIRMED, COUNTS_A_PART = Template("rejects not confirmed"), Template("encoder counts a part")
RECONNECTS, TEMPERATURE, DISK_FREE = Template("reconnects a day"), Template("temperature"), Template("disk free")
MOVES = Template("%(signal)s %(change)s in %(days)s days")
MOVES_ONE = Template("%(signal)s %(change)s in %(days)s days, recipe %(recipe)s")
MOVES_ALIKE = Template("%(signal)s %(change)s in %(days)s days, recipes %(recipes)s alike")

# Monitoring: the streams, and what has moved

GREY, SATURATED, PLACE_X, PLACE_Y, SIZE = (
    Template("grey"), Template("saturated"), Template("place x"), Template("place y"), Template("size"),
)  # fmt: skip
VIRTUAL, MASTER, HELD_OUT, KIND = (
    Template("synthetic defects missed"), Template("master part"), Template("scores against teaching"),
    Template("kind of defect"),
)  # fmt: skip
WRONGLY_REJECTED = Template("labelled good though rejected")
WRONGLY_PASSED = Template("labelled defective though passed")
SCORES, REJECTED, DOUBTED, NOT_INSPECTED = (
    Template("scores"), Template("rejected"), Template("rejected or in review"), Template("not inspected"),
)  # fmt: skip
LIGHT_AS_TAUGHT, SHARPNESS_AS_TAUGHT, PLACE_AS_TAUGHT = (
    Template("light unlike taught"), Template("sharpness unlike taught"), Template("place unlike taught"),
)  # fmt: skip
STREAM = Template("%(stream)s: %(detail)s")
MASTERS_AS_EVER = Template("%(details)s; master parts score as ever, so it is not the station")
REJECTS_IN_A_ROW = Template("%(count)s parts in a row were rejected")
SAME_PLACE = Template(
    "%(count)s of the last %(total)s defects at camera %(camera)s, %(share)s from the left and %(other_share)s from "
    "the top"
)
LEARNS_PARTS = Template("learns: %(count)s of %(total)s parts")
LEARNS_TESTS = Template("learns: %(count)s of %(total)s tests")
NOT_STEADY = Template("not steady: learning began anew %(count)s times")
SHARE_MOVED = Template("normal up to %(share)s, %(other_share)s of the last %(count)s")
LABELS_DISAGREE = Template(
    "%(count)s of %(total)s labels, promised at most %(share)s; e-value %(other_number)s, alarm from %(number)s"
)
TAILS = Template(
    "%(share)s above %(number)s and %(other_share)s below %(other_number)s, each normal up to %(third_share)s"
)
BAND = Template("normal %(number)s to %(other_number)s")
BAND_NOW = Template("normal %(number)s to %(other_number)s, now %(third_number)s")
BAND_SIDE_BELOW = Template("%(band)s, %(share)s of the last %(count)s below %(third_number)s")
BAND_SIDE_ABOVE = Template("%(band)s, %(share)s of the last %(count)s above %(third_number)s")
MASTER_SCORE = Template("score normal %(number)s to %(other_number)s, average of the newest %(third_number)s")

# Virtual challenge: kinds of defects, each with its contrast

AT_CONTRAST = Template("%(text)s, %(count)s grey levels")
OF_KINDS = tuple(
    Template(text)
    for text in ("bright spot", "dark spot", "scratch", "hair", "cut", "stain", "soft brightness")
)  # fmt: skip

# Why a part did not pass

AREA = Template("area %(number)s mm² at %(place)s > %(other_number)s")
AREA_NOT_LISTED = Template("area %(number)s mm² (not listed) > %(other_number)s")
TOTAL_AREA = Template("total area %(number)s mm² of %(count)s > %(other_number)s")
LENGTH = Template("length %(number)s mm at %(place)s > %(other_number)s")
LENGTH_NOT_LISTED = Template("length %(number)s mm (not listed) > %(other_number)s")
REGIONS = Template("%(count)s regions > %(other_number)s")
MEAN_GREY_LOW, MEAN_GREY_HIGH = (
    Template("mean grey %(number)s < %(other_number)s"),
    Template("mean grey %(number)s > %(other_number)s"),
)
SATURATED_HIGH = Template("saturated share %(number)s > %(other_number)s")
SHARPNESS_LOW = Template("sharpness %(number)s < %(other_number)s")
FRAME_SIZE = Template("frame %(shape)s, expected %(expected)s")

# Regions of a part, and its way

REGION = Template("%(number)s: %(other_number)s mm², %(third_number)s mm long, peak %(peak)s")
MORE_REGIONS = Template("and %(count)s more")
STEPS = tuple(
    Template(text)
    for text in (
        "trigger (%(source)s)", "frame received", "inspection starts", "engine starts", "engine ends", "decided",
        "signalled", "acknowledged", "recorded", "pushed by ejector %(count)s", "exposure and transfer", "queue",
        "preparation", "measurement and rules", "signalling", "waiting", "records", "belt", "ms after the trigger",
        "PASS", "FAIL", "REVIEW", "ERROR",
    )
)  # fmt: skip
STEP_TO = Template("%(number)s ms to %(step)s")
TIMELINE_PART = Template("part %(count)s, acquisition %(total)s")
TIMELINE_OF = Template("session %(session)s, recipe %(recipe)s")

LIMITS, ZONE = Template("limits: %(limits)s"), Template("zone %(name)s: %(limits)s")
IGNORED, NO_LIMITS = Template("ignored"), Template("no limits on regions")
IMAGE_DELETED = Template("the image was deleted to make room ([records] disk_budget_mb)")
IMAGE_SKIPPED = Template("the image was not stored: %(why)s")
IMAGE_NOT_KEPT = Template("the image was not kept")
IMAGE_OF_PASS = Template("the image was not kept: of PASS, only the share [records] pass_image_share is")

NOT_SCORED = Template("not scored: there is no heat map")
NO_HEAT_MAP = Template("no heat map: engine %(name)s is not on this station, so the scale of its map is not known")
IMAGE_GONE, IMAGE_NOT_READABLE = Template("the image is gone: %(path)s"), Template("the image cannot be read: %(path)s")
NO_CONFIGURATION = Template("Limits and zones are not known: there is no configuration.")
RECIPE_GONE = Template('Limits and zones are not known: recipe "%(name)s" cannot be read any more.')
IMAGES_WAIT = Template("too many images wait for the disk")
FILES_HAVE_CHANGED = Template(
    "Limits and zones are those of the files now; they have changed since this part was judged."
)

# A report, and its charts

PERIOD = Template("%(moment)s to %(other_moment)s")
PERIOD_MADE = Template("%(moment)s to %(other_moment)s; made %(third_moment)s")
PERIOD_MADE_BY = Template("%(moment)s to %(other_moment)s; made %(third_moment)s by %(name)s")
OF_RECIPE, OF_ENGINE, OF_SETTINGS = (
    Template("recipe %(name)s"),
    Template("engine %(name)s"),
    Template("settings %(name)s"),
)
PARTS = Template("%(count)s parts")
OF_SHIFT, OF_BATCH = Template("shift %(name)s"), Template("batch %(name)s")
WITH_RECIPE = Template("%(text)s, recipe %(name)s")
AUDIT_LOG, NO_CHAIN_YET = Template("audit log"), Template("no chain yet")

PARETO = Template("%(verdict)s: %(count)s %(reason)s")
NOTHING_FOUND, OF_ANOTHER_VERSION = Template("none: nothing was found"), Template("%(count)s (of another version)")
OVER_TIME = Template("rejected and in review; %(limits)s")
LIMITS_OF_BEFORE = Template("dashed: limits from the period before; large: outside")
NO_PERIOD_BEFORE = Template("no period before")
REGIONS_SEEN, DARKEST = Template("%(count)s regions"), Template("darkest: %(count)s in a place")
FRAME_SEEN = Template("%(count)s x %(total)s px seen")

# What stands around the others: any text, of which the parts are looked at

IN_BRACKETS = Template("%(text)s (%(detail)s)")
FINDING = Template("%(text)s (%(detail)s); %(action)s")
OF_CODES = tuple(
    Template(text)
    for one in (*WARNINGS.values(), *ERRORS.values(), *REASONS.values())
    for text in (one.text, one.action)
    if text and "%" not in text
)

OF_STATION = (
    *OF_CODES,
    *STEPS,
    *OF_KINDS,
    *noted.TEMPLATES,
    *refusals.TEMPLATES,
    *tuple(value for value in list(globals().values()) if isinstance(value, Template)),
)
CATALOGUE = Catalogue([*OF_ENGINES.templates, *OF_STATION])
"""Of everything that a page may have to say in another language."""
