"""Pages from templates: the shared look, and what the page allows to run or style, by hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

HERE = "engines.training.pages"


@dataclass(frozen=True)
class PageVerdict:
    """What stands on top of a page."""

    state: str
    """PASS, REVIEW or FAIL: its shape and colour, as everywhere."""
    head: str
    """A few words."""
    why: tuple[str, ...] = ()
    """A sentence each."""


@dataclass(frozen=True)
class Look:
    """The style and the scripts of a page, and their hashes for its policy."""

    css: Markup
    css_sha256: str
    js: tuple[Markup, ...]
    js_sha256: tuple[str, ...]


def render(package: str, template: str, values: Mapping[str, Any], *, scripts: tuple[str, ...] = ()) -> str:
    """The page from a template in `package`, with the shared look.

    Args:
        values: `look` is added to them.
        scripts: more scripts of `package`, beside the one that enlarges pictures.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader(HERE, ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "score": "{:.2f}".format, "value": _value}
    css = _source(HERE, "look.css")
    js = (_source(HERE, "enlarge.js"), *(_source(package, name) for name in scripts))
    look = Look(Markup(css), _sha256(css), tuple(map(Markup, js)), tuple(map(_sha256, js)))
    return environment.get_template(template).render({**values, "look": look})


def _source(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text("utf-8")


def _sha256(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == 0 or share >= 0.001 else "<0.1%"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return "none" if value is None else str(value)
