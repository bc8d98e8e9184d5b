"""One part as a page of HTML: a single file without a network, its pictures in it, sharp at every size.

Everything that comes from records, recipes or cameras goes through `html.escape`; nothing on the page runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from engines.overlay import Pixels
from station.reports.drawing import (
    BAD,
    FAINT,
    INK,
    MUTED,
    SURFACE,
    VERDICT_FILL,
    VERDICT_TEXT,
    Drawing,
    page_head,
)
from station.reports.nearest_good import Compared
from station.reports.part_picture import draw_legend, draw_view, facts, limits_of, regions_in_words, score_in_words
from station.reports.seen import Seen, SeenView
from station.reports.shifts import Calendar
from station.terminal import one_line

_STYLE = "".join(
    (
        ":root{color-scheme:light}*{box-sizing:border-box}",
        f"body{{margin:0 auto;max-width:84rem;padding:1rem;font:16px/1.45 system-ui,sans-serif;color:{INK};",
        f"background:{SURFACE};overflow-wrap:anywhere}}",
        "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:0 0 .5rem}",
        ".verdict{display:inline-block;padding:.05em .5em;margin-right:.5em}",
        *(f".{name}{{background:{fill};color:{VERDICT_TEXT[name]}}}" for name, fill in VERDICT_FILL.items()),
        f".quiet,li.quiet{{color:{MUTED};font-size:.9rem}}",
        f"section{{border-top:1px solid {FAINT};margin-top:1rem;padding-top:1rem}}",
        ".pictures{display:flex;flex-wrap:wrap;gap:1rem}figure{flex:1 1 20rem;margin:0;min-width:0}",
        f"figure svg{{width:100%;height:auto;display:block}}.gone{{padding:2rem;background:{FAINT};text-align:center}}",
        ".near{display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.75rem;max-width:64rem}",
        "h3{font-size:1rem;margin:1rem 0 .5rem}",
        f"ul{{margin:.4rem 0;padding-left:1.2rem}}.note{{border-left:4px solid {BAD};padding-left:.6rem}}",
    )
)


def page(
    seen: Seen, calendar: Calendar, notes: tuple[str, ...] = (), compared: Mapping[str, Compared] | None = None
) -> str:
    """The whole page; `notes`: more lines below the reasons, as the labels of the part; `compared`: by camera."""
    part = seen.part
    reasons = [one_line(reason) for reason in part.reason_list] or ["nothing was found"]
    beside = compared or {}
    views = (
        "".join(_view(view, beside.get(view.row.camera)) for view in seen.views)
        or '<p class="gone">no view of this part is on record</p>'
    )
    legend = Drawing(800, 32)
    draw_legend(legend, 4, 2, zones=any(view.zones for view in seen.views))
    return f"""{page_head(f"part {part.part_id}: {part.verdict}", _STYLE)}
<body>
<h1>{_verdict(part.verdict)} part {part.part_id}</h1>
<p><b>{escape(score_in_words(part.score, part.reject_score))}</b></p>
{_items(reasons)}
{_items([*notes, *facts(seen, calendar)], "quiet")}
{views}
<section><h2>Scale of the heat map</h2><figure>{legend.svg()}</figure>
<p class="quiet">Scores run from 0 to 1; above 0.5 a place counts as a region. Below it nothing covers the part.</p>
</section>
</body></html>
"""


def _view(view: SeenView, compared: Compared | None) -> str:
    row = view.row
    if view.image is None:
        pictures = f'<p class="gone">{escape(view.why_no_image)}</p>'
    else:
        right = view.image if view.heated is None else view.heated
        missing = f'<figcaption class="quiet">{escape(view.why_no_heat)}</figcaption>' if view.heated is None else ""
        pictures = (
            f'<div class="pictures"><figure>{_photo(view, view.image, bare=True)}</figure>'
            f"<figure>{_photo(view, right, bare=False)}{missing}</figure></div>"
        )
    title = f"camera {escape(one_line(row.camera))}: {escape(score_in_words(row.score, row.reject_score))}"
    return (
        f"<section><h2>{_verdict(row.verdict)} {title}</h2>{pictures}"
        f"{_items(regions_in_words(view))}{_items(limits_of(view), 'quiet')}{_same_place(compared)}</section>"
    )


def _same_place(compared: Compared | None) -> str:
    """The nearest good parts beside it, or why there are none."""
    if compared is None:
        return ""
    head = "<h3>The same place, nearest good parts</h3>"
    if compared.why:
        return f'{head}<p class="quiet">{escape(compared.why)}</p>'
    shown = [("this part", compared.place)]
    shown += [(f"good {number}, {one.distance:.2f}", one.picture) for number, one in enumerate(compared.good, start=1)]
    shown.append(("difference", compared.difference))
    figures = "".join(
        f"<figure>{_bare(picture)}<figcaption>{escape(caption)}</figcaption></figure>"
        for caption, picture in shown
        if picture is not None
    )
    said = (
        f"The nearest of {compared.of} good parts that the engine learned from; the smaller the number, the more "
        "alike. Colour: more than they differ from each other."
    )
    return f'{head}<div class="near">{figures}</div><p class="quiet">{escape(said)}</p>'


def _bare(photo: Pixels) -> str:
    drawing = Drawing(photo.shape[1], photo.shape[0])
    drawing.photo(0, 0, float(photo.shape[1]), float(photo.shape[0]), photo)
    return drawing.svg()


def _photo(view: SeenView, photo: Pixels, *, bare: bool) -> str:
    height, width = photo.shape[:2]
    factor = 600 / max(height, width)  # lines and letters are as wide as in a picture of this size
    drawing = Drawing(round(width * factor), round(height * factor))
    size = (float(drawing.width), float(drawing.height))
    if bare:
        drawing.photo(0, 0, *size, photo)
    else:
        draw_view(drawing, view, photo, (0, 0, *size))
    return drawing.svg()


def _verdict(verdict: str) -> str:
    return f'<span class="verdict {escape(verdict)}">{escape(verdict)}</span>'


def _items(lines: Iterable[str], kind: str = "") -> str:
    items = "".join(f'<li class="{kind}">{escape(line)}</li>' for line in lines)
    return f"<ul>{items}</ul>" if items else ""
