"""A small SVG writer for the diagrams of the code: boxes, arrows and text, in the light or dark colours of the reader.

The timing diagrams use `station.reports.drawing`, which paints PNG, too; these pictures are for a browser alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap
from xml.sax.saxutils import escape

LETTER_SHARE = 0.55
"""Width of a letter against the size of its text, on average; only for breaking lines."""
_STYLE = """
.paper{fill:#ffffff} text{fill:#1f2933;font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif}
.muted{fill:#5f6c7b} .name{font-weight:600} .code{font-family:ui-monospace,'DejaVu Sans Mono',monospace}
.box{stroke-width:1.2} .arrow{fill:none;stroke:#5f6c7b;stroke-width:1.4} .head{fill:#5f6c7b}
.blue{fill:#e8f0fa;stroke:#3b6ea5} .green{fill:#e9f5ec;stroke:#3f8f5b} .sand{fill:#faf3e3;stroke:#b08a3c}
.red{fill:#fbe4e1;stroke:#b4483a} .metal{fill:#dfe4ea;stroke:#7b8794} .hole{fill:#52606d}
.beam{fill:none;stroke:#d64545;stroke-width:1.6;stroke-dasharray:3 3} .light{fill:#f7d070;opacity:.28}
.violet{fill:#f0ecf9;stroke:#7a62b3} .grey{fill:#f4f6f8;stroke:#9aa5b1}
.free{fill:none;stroke:#9aa5b1;stroke-dasharray:5 4}
@media (prefers-color-scheme: dark){
.paper{fill:#0d1117} text{fill:#e6edf3} .muted{fill:#9aa7b4} .arrow{stroke:#9aa7b4} .head{fill:#9aa7b4}
.blue{fill:#14263b;stroke:#5b93cf} .green{fill:#12291b;stroke:#56ad75} .sand{fill:#2c2412;stroke:#c9a253}
.red{fill:#3a1a17;stroke:#d9705f} .metal{fill:#4a5561;stroke:#9aa7b4} .hole{fill:#0d1117}
.violet{fill:#221b36;stroke:#9d86d6} .grey{fill:#161b22;stroke:#6b7683} .free{stroke:#6b7683}}
"""


@dataclass(slots=True)
class Svg:
    """A picture of `width` x `height` px, origin at the upper left; the same bytes for the same calls."""

    width: int
    height: int
    title: str
    _parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """A rounded rectangle; `style`: blue, green, sand, violet, grey, red, or free (dashed)."""
        self._parts.append(
            f'<rect class="box {style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>'
        )

    def circle(self, x: float, y: float, radius: float, style: str) -> None:
        """A disc; styles as for `box`, and metal, hole."""
        self._parts.append(f'<circle class="{style}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>')

    def path(self, commands: str, style: str) -> None:
        """An SVG path; `style`: arrow, beam, light."""
        self._parts.append(f'<path class="{style}" d="{commands}"/>')

    def text(self, x: float, y: float, text: str, *, size: int = 12, style: str = "", anchor: str = "start") -> None:
        """One line; `x`, `y`: its base line; `style`: muted, name, code, or several of them."""
        kind = f' class="{style}"' if style else ""
        self._parts.append(
            f'<text{kind} x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def lines(
        self, x: float, y: float, width: float, text: str, *, size: int = 12, style: str = "muted", most: int = 2
    ) -> None:
        """Running text broken to `width` px; what takes more than `most` lines ends in an ellipsis."""
        letters = int(width / (size * LETTER_SHARE))
        found = wrap(text, letters, max_lines=most, placeholder=" ...", break_on_hyphens=False)
        for number, line in enumerate(found):
            self.text(x, y + number * (size + 4), line, size=size, style=style)

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A straight arrow along an axis."""
        (x0, y0), (x1, y1) = start, end
        dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        self._parts.append(f'<path class="arrow" d="M{x0:g} {y0:g}L{x1 - 6 * dx:g} {y1 - 6 * dy:g}"/>')
        left, right = (x1 - 9 * dx - 4.5 * dy, y1 - 9 * dy - 4.5 * dx), (x1 - 9 * dx + 4.5 * dy, y1 - 9 * dy + 4.5 * dx)
        corners = " ".join(f"{x:g},{y:g}" for x, y in (end, left, right))
        self._parts.append(f'<polygon class="head" points="{corners}"/>')

    def document(self) -> str:
        """The picture, ending in a line feed."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}"'
        head += f' viewBox="0 0 {self.width} {self.height}" role="img">'
        paper = f'<rect class="paper" width="{self.width}" height="{self.height}"/>'
        body = [head, f"<title>{escape(self.title)}</title>", f"<style>{_STYLE}</style>", paper, *self._parts, "</svg>"]
        return "\n".join(body) + "\n"
