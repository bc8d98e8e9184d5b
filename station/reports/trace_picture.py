"""The trace of a part as a picture: one lane per thing that took time, events below."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from station import said
from station.codes import REASONS
from station.reports.drawing import BAD, FAINT, MUTED, Drawing
from station.reports.trace import Event, Step, Trace

WIDTH, LEFT, RIGHT = 1000, 170, 30
TOP, LANE, BAR = 78, 30, 16
TICKS = 8
COLOURS = {
    "exposure and transfer": "#4c78a8",
    "queue": "#bab0ac",
    "preparation": "#72b7b2",
    "engine": "#54a24b",
    "measurement and rules": "#eeca3b",
    "signalling": "#b279a2",
    "waiting": "#e45756",
    "PLC": "#f58518",
    "records": "#9d755d",
    "belt": "#ff9da6",
}


@dataclass(frozen=True, slots=True)
class _Scale:
    """The time axis."""

    end_ms: float

    def x(self, at_ms: float) -> float:
        return LEFT + at_ms * (WIDTH - LEFT - RIGHT) / max(self.end_ms, 1e-3)


def draw(trace: Trace, say: Callable[[str], str] = str) -> Drawing:
    """The timeline from the trigger to the last step. `say`: what the texts are in another language."""
    spans = [step for step in trace.steps if step.spent_on]
    axis_y = TOP + LANE * max(1, len(spans))
    drawing = Drawing(WIDTH, axis_y + 46 + LANE * bool(trace.events) + 18 * len(trace.events))
    scale = _Scale(trace.end_ms)
    _title(drawing, trace, say)
    _axis(drawing, scale, axis_y, say)
    for lane, step in enumerate(spans):
        _span(drawing, step, scale, TOP + lane * LANE, say)
    for number, event in enumerate(trace.events):
        colour = BAD if event.level in ("warning", "error") else MUTED
        if 0 <= event.at_ms <= trace.end_ms:
            x = scale.x(event.at_ms)
            drawing.line([(x, TOP - 8), (x, axis_y)], colour, dashed=True)
        _event(drawing, event, colour, axis_y + 58 + 18 * number)
    return drawing


def _title(drawing: Drawing, trace: Trace, say: Callable[[str], str]) -> None:
    part = trace.part
    title = said.TIMELINE_PART(count=part.part_id, total=part.acquisition_id)
    drawing.text((20, 28), say(title), size=17, bold=True)
    word = say(part.verdict)
    drawing.verdict(WIDTH - RIGHT - 17 - 13.3 * len(word), 9, part.verdict, size=17, word=word)
    reasons = "; ".join(
        say(REASONS[one.code].text) + (f": {say(one.detail)}" if one.detail else "") for one in part.reason_list
    )
    where = say(said.TIMELINE_OF(session=part.session, recipe=part.recipe))
    drawing.text((20, 48), where + (f": {reasons}" if reasons else ""))


def _axis(drawing: Drawing, scale: _Scale, y: float, say: Callable[[str], str]) -> None:
    drawing.line([(LEFT, y), (WIDTH - RIGHT, y)], MUTED)
    step_ms = tick_ms(scale.end_ms)
    for number in range(math.floor(scale.end_ms / step_ms) + 1):
        x = scale.x(number * step_ms)
        drawing.line([(x, TOP - 8), (x, y + 4)], FAINT)
        drawing.text((x, y + 18), f"{number * step_ms:g}", size=11, anchor="middle", colour=MUTED)
    drawing.text((WIDTH - RIGHT, y + 34), say("ms after the trigger"), size=11, anchor="end", colour=MUTED)


def _span(drawing: Drawing, step: Step, scale: _Scale, y: float, say: Callable[[str], str]) -> None:
    x, width = scale.x(step.since_ms), max(scale.x(step.at_ms) - scale.x(step.since_ms), 1.5)
    drawing.text((LEFT - 10, y + BAR - 3), say(step.spent_on), anchor="end")
    drawing.rectangle(x, y, width, BAR, COLOURS[step.spent_on])
    label = say(said.STEP_TO(number=f"{step.took_ms:.2f}", step=step.name))
    if x + width + 7 * len(label) < WIDTH - RIGHT:
        drawing.text((x + width + 6, y + BAR - 3), label, size=11, colour=MUTED)
    elif x - 7 * len(label) > LEFT:
        drawing.text((x - 6, y + BAR - 3), label, size=11, anchor="end", colour=MUTED)
    else:
        drawing.text((x + width - 6, y + BAR - 3), label, size=11, anchor="end", colour="#ffffff")


def _event(drawing: Drawing, event: Event, colour: str, y: float) -> None:
    drawing.text((LEFT - 10, y), f"{event.at_ms:.1f} ms", size=11, anchor="end", colour=colour)
    drawing.text((LEFT, y), f"{event.kind}: {event.detail}"[:110], size=11, colour=colour)


def tick_ms(end_ms: float) -> float:
    """A round distance of ticks, at most `TICKS` of them: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(end_ms, 1e-3) / TICKS))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * TICKS >= end_ms)
