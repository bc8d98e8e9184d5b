"""Pages from templates. What others wrote (part ids, recipes, reasons, comments) is text: every value is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse

from station import __version__
from station.codes import REASONS
from station.hmi.rights import Person
from station.hmi.words import SOURCE, Words, chosen
from station.noted import KINDS
from station.reports.production.language import Language
from station.results import Reason
from station.said import CATALOGUE

if TYPE_CHECKING:
    from station.hmi.site import Site
    from station.hmi.work import Work

HERE = Path(__file__).parent
TEMPLATES, STATIC = HERE / "templates", HERE / "static"
LANGUAGE_COOKIE, THEME_COOKIE = "language", "theme"
THEMES = ("auto", "light", "dark")
NAVIGATION = (
    ("live", "Live"),
    ("review", "Review"),
    ("parts", "Parts"),
    ("reports", "Reports"),
    ("setup", "Setup"),
    ("maintenance", "Maintenance"),
)
"""Name of the route and the word; only those that are there and that the person may open are shown."""
MORE = (("second", "Second person"), ("users", "People"), ("audit", "What was done to accounts"))
"""The same, on the page of one's own account."""

SETUP_TABS = (
    ("setup", "Cameras"),
    ("setup-zones", "Zones"),
    ("setup-limits", "Limits"),
    ("setup-settings", "Settings"),
    ("setup-plc", "PLC points"),
    ("setup-challenge", "Challenge parts"),
)
"""The same, within set-up."""


class Rendering:
    """One environment of templates for each language."""

    def __init__(self, words: Mapping[str, Words]) -> None:
        self._environments = {code: _environment(known) for code, known in words.items()}

    def text(self, language: str, template: str, values: Mapping[str, Any]) -> str:
        """The page as HTML."""
        return self._environments[language].get_template(template).render(values)


def site_of(connection: HTTPConnection) -> Site:
    """The station that the pages are of."""
    site: Site = connection.app.state.site
    return site


def person_of(request: Request) -> Person:
    """Who asks; the guard has found out."""
    return getattr(request.state, "person", Person(""))


def language_of(request: HTTPConnection) -> str:
    """The code of the language of this page."""
    site = site_of(request)
    accepted = request.headers.get("accept-language", "")
    return chosen(request.cookies.get(LANGUAGE_COOKIE), accepted, site.settings.language, site.words)


def words_of(request: HTTPConnection) -> Words:
    """For texts that are made outside of a template."""
    return site_of(request).words[language_of(request)]


def language_for(request: HTTPConnection) -> Language:
    """What reports say, in the language of this page."""
    return Language(language_of(request), words_of(request).gettext)


def state_of(request: HTTPConnection, work: Work | None) -> dict[str, Any]:
    """How a work stands, for the script of a page: its step in the language of the page."""
    if work is None:
        return {"phase": "none"}
    language = language_for(request)
    return work.as_dict() | {"step": language.word(language.sentence(work.step))}


def say_of(request: HTTPConnection) -> Callable[[str], str]:
    """What a text that the station has written is in the language of this page; others stay as they are."""
    gettext = words_of(request).gettext
    return lambda text: CATALOGUE.translated(text, gettext)


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for the person who asks, in his language."""
    site, person = site_of(request), person_of(request)
    language = language_of(request)
    theme = request.cookies.get(THEME_COOKIE, THEMES[0])
    known = request.app.state.rights
    values = {
        "site": site,
        "person": person,
        "language": language,
        "languages": list(site.words),
        "theme": theme if theme in THEMES else THEMES[0],
        "navigation": [(name, word) for name, word in NAVIGATION if name in known and person.may(known[name])],
        "navigation_more": [(name, word) for name, word in MORE if name in known and person.may(known[name])],
        "setup_tabs": [(name, word) for name, word in SETUP_TABS if name in known and person.may(known[name])],
        "what_if": request.app.url_path_for("setup-what-if") if "setup-what-if" in known else "",
        "may_change_recipe": "recipes" in known and person.may(known["recipes"]),
        "here": getattr(request.state, "route", ""),
        "csrf": getattr(request.state, "csrf", ""),
        "path_for": request.app.url_path_for,
        "static": static_path,
        "may_confirm": "second" in known and person.may(known["second"]),
        "heard": site.line.now() if person.may(known["state"]) else None,
        "version": __version__,
        "address": request.url.path,
        **values,
    }
    return HTMLResponse(site.rendering.text(language, template, values), status)


def static_path(name: str) -> str:
    """The address of a file of the pages; another content has another address, so a browser may keep it."""
    return f"/static/{name}?v={_digest(STATIC / name)}"


_digests: dict[Path, str] = {}


def _digest(file: Path) -> str:
    if file not in _digests:
        _digests[file] = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return _digests[file]


def _environment(words: Words) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,  # an upgrade under a running process does not mix old code with new pages
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]  # of the extension
    environment.filters["said"] = lambda text: CATALOGUE.translated(str(text), words.gettext)
    environment.filters["event_kind"] = lambda kind: words.gettext(KINDS.get(str(kind), str(kind)))
    environment.filters["reason"] = lambda reason: _reason(reason, words)
    return environment


def _reason(reason: Reason, words: Words) -> str:
    """Why a part did not pass, its detail as far as it is known."""
    text = words.gettext(REASONS[reason.code].text)
    return f"{text}: {CATALOGUE.translated(reason.detail, words.gettext)}" if reason.detail else text


__all__ = ["SOURCE", "Rendering", "language_of", "page", "person_of", "site_of", "static_path", "words_of"]
