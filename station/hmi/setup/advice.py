"""What the figures of a picture say about light and focus, and what to do: for whoever stands at the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.bundle.picture_bands import PictureBand, ValueBand, relative_sharpness
from station.configuration.decision import QualitySection
from station.hmi.words import Words

BRIGHT_SHARE = 0.995
"""The brightest pixels but these few say where the picture ends: single reflections do not count."""
MOST_SATURATED = 0.005
WANTED_GREY = 200.0
"""Where the bright end of a good picture lies: room for a brighter part, none wasted."""
DARK_GREY = 120.0
SHORTER = 0.7
"""By how much an exposure is shortened when nobody can know how far the light is above the end."""
LEVEL = 4
"""Grey levels in a step of the histogram."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing, and whether somebody must act."""

    acts: bool
    text: str


def bright_end(histogram: Sequence[int]) -> float:
    """The grey level below which `BRIGHT_SHARE` of the pixels lie."""
    limit, sum_ = BRIGHT_SHARE * sum(histogram), 0
    for step, share in enumerate(histogram):
        sum_ += share
        if sum_ >= limit:
            return float(min(255, LEVEL * (step + 1)))
    return 255.0


def of_light(figures: Mapping[str, Any], exposure_us: float | None, words: Words) -> Said:
    """Too bright, too dark, or well."""
    saturated, end = figures["saturated_share"] or 0.0, bright_end(figures["histogram"])
    if saturated > MOST_SATURATED:
        text = words.gettext("Too bright: what is white has no structure left. %(do)s")
        return Said(True, text % {"do": _try(exposure_us, SHORTER, words.gettext("less light"), words)})
    if end < DARK_GREY:
        text = words.gettext("Dark: the brightest parts lie at grey %(grey)s. %(do)s")
        do = _try(exposure_us, WANTED_GREY / max(end, 1.0), words.gettext("more light"), words)
        return Said(True, text % {"grey": round(end), "do": do})
    return Said(
        False, words.gettext("Light is well used: the bright end lies at grey %(grey)s.") % {"grey": round(end)}
    )


def of_focus(figures: Mapping[str, Any], quality: QualitySection, words: Words) -> Said:
    """Against the limit, where there is one."""
    sharpness, least = figures["sharpness"], quality.min_sharpness
    if sharpness is not None and least is not None and sharpness < least:
        text = words.gettext(
            "Out of focus: sharpness is below %(least)s, so no part can pass. Turn the focus until it rises."
        )
        return Said(True, text % {"least": f"{least:g}"})
    if least is not None:
        return Said(False, words.gettext("Sharp enough: the limit is %(least)s.") % {"least": f"{least:g}"})
    return Said(
        False,
        words.gettext("Turn the focus until the number is highest, then fix the ring. No limit is set: min_sharpness."),
    )


def of_taught(figures: Mapping[str, Any], band: PictureBand | None, words: Words) -> Said | None:
    """Whether the picture is like those that the active engine was taught with; None: that is not known."""
    grey, saturated, sharpness = (figures[name] for name in ("mean_grey", "saturated_share", "sharpness"))
    if band is None or grey is None or saturated is None or sharpness is None:
        return None
    values = (
        (words.gettext("mean grey"), grey, band.grey),
        (words.gettext("saturated share"), saturated, band.saturated),
        (words.gettext("relative sharpness"), relative_sharpness(sharpness, grey), band.sharpness),
    )
    unlike = [f"{name} {value:.3g} ({shown_band(limits)})" for name, value, limits in values if value not in limits]
    if unlike:
        text = words.gettext("Unlike the pictures that the engine was taught with, so its parts are REVIEW: %(what)s")
        return Said(True, text % {"what": "; ".join(unlike)})
    taught = "; ".join(f"{name} {shown_band(limits)}" for name, _, limits in values)
    return Said(False, words.gettext("Like the pictures that the engine was taught with: %(what)s") % {"what": taught})


def shown_band(band: ValueBand) -> str:
    """Without words."""
    if band.low is None:
        return "–" if band.high is None else f"≤ {band.high:.3g}"
    return f"≥ {band.low:.3g}" if band.high is None else f"{band.low:.3g} – {band.high:.3g}"


def _try(exposure_us: float | None, factor: float, instead: str, words: Words) -> str:
    if exposure_us is None:
        return words.gettext("The exposure is the camera's own: set exposure_time_us here, or give %(light)s.") % {
            "light": instead
        }
    text = words.gettext("Try an exposure of %(us)s µs, or give %(light)s.")
    return text % {"us": f"{rounded(exposure_us * factor):g}", "light": instead}


def rounded(exposure_us: float) -> float:
    """To two digits: nobody sees less."""
    digits = len(str(int(exposure_us))) - 2
    return float(round(exposure_us, -digits))
