"""The sentences that engines and their training write, so that pages can say them in another language.

A `Template` is English with places for values, and is itself the message id of a translator. Whoever writes calls it:
`PROMISE(rejected="10", in_review="100")` is the sentence, a plain text, and that is what manifests, dossiers and
comparisons keep. A `Catalogue` finds the template and its values again in such a text. So nothing is added to the files
of engines (older software reads them), and engines that were made before are said in every language, too. What no
template has written stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache

Words = Callable[[str], str]
"""From a message id to the same in another language, as `gettext`."""

_PLACE = re.compile(r"%\((\w+)\)s")
_PATTERNS = {
    "count": r"\d+",
    "total": r"\d+",
    "number": r"-?[\d.]+(?:e[+-]?\d+)?",
    "other_number": r"-?[\d.]+(?:e[+-]?\d+)?",
    "third_number": r"-?[\d.]+(?:e[+-]?\d+)?",
    "share": r"-?[\d.]+%",
    "other_share": r"-?[\d.]+%",
    "third_share": r"-?[\d.]+%",
    "rejected": r"[\d.]+(?:e[+-]?\d+)?",
    "in_review": r"[\d.]+(?:e[+-]?\d+)?",
    "size": r"[\d.]+(?:e[+-]?\d+)? (?:px|mm)",
    "kind": r"[a-z ]+?",
    "moment": r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d",
    "other_moment": r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d",
    "third_moment": r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d",
    "counts": r"[\d, ]+(?: and \d+)?",
}
"""What stands at a place of this name, where it is not any text of one line."""
_ANY = r"[^\n]+?"
MAX_LETTERS = 4000
"""Of a text that is looked at; a manifest holds no longer one."""
_DEPTH = 6


class Template:
    """English with places such as `%(count)s`; values come in as texts and numbers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.head = _PLACE.split(text)[0].replace("%%", "%")
        """What stands before the first place: what begins otherwise is not of this template."""
        self._places: tuple[str, ...] = tuple(_PLACE.findall(text))
        self.stands_around = not any(letter.isalpha() for letter in _PLACE.sub("", text))
        """It has no word of its own: any text may seem to be of it, as `%(text)s (%(detail)s)`."""

    def __call__(self, **values: object) -> str:
        """The English sentence. Raises KeyError: a value is missing."""
        return self.text % {name: values[name] for name in self._places}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches what the template writes, values as groups `v0`, `v1` and so on."""
        pieces = _PLACE.split(self.text)
        found = ""
        for number, piece in enumerate(pieces):
            if number % 2:
                found += f"(?P<v{number // 2}>{_PATTERNS.get(piece, _ANY)})"
            else:
                found += re.escape(piece.replace("%%", "%"))
        return re.compile(found)

    @cached_property
    def followed(self) -> re.Pattern[str]:
        """The same where another sentence follows."""
        return re.compile(self.pattern.pattern + r"(?=; | )")

    def values(self, match: re.Match[str]) -> dict[str, str]:
        """Name of the place -> what stands there."""
        return {name: match[f"v{number}"] for number, name in enumerate(self._places)}


class Catalogue:
    """All templates together: finds out which of them have written a text."""

    def __init__(self, templates: Iterable[Template]) -> None:
        # Those with the most text of their own first: a loose one does not hide a close one.
        self.templates = tuple(sorted(templates, key=lambda one: -len(_PLACE.sub("", one.text))))
        self._found = lru_cache(maxsize=1024)(self._translated)  # tables say the same again and again

    def translated(self, text: str, words: Words) -> str:
        """A text of an engine in another language; what is not recognised stays English."""
        found = self._found(text, words, _DEPTH)
        return text if found is None else found

    def is_recognised(self, text: str) -> bool:
        """Whether a template has written the text, or the first of its sentences."""
        return self._translated(text, str, _DEPTH) is not None

    def _translated(self, text: str, words: Words, depth: int) -> str | None:
        """None: no template has written it."""
        if not text or depth == 0 or len(text) > MAX_LETTERS:
            return None
        around: str | None = None
        for template in self._beginning(text):
            match = template.pattern.fullmatch(text)
            if match is not None:
                around = self._said(template, match, words, depth)
                if not template.stands_around:
                    return around
                break  # sentences in a row hide behind it: each colon seems to be its own
        for separator in (" ", "; "):
            found = self._in_a_row(text, separator, words, depth)
            if found is not None:
                return found
        return around if around is not None else self._listed(text, words, depth)

    def _beginning(self, text: str) -> Iterator[Template]:
        """Those that may have written the begin of a text: patterns take most of the time of a long table."""
        return (template for template in self.templates if text.startswith(template.head))

    def _said(self, template: Template, match: re.Match[str], words: Words, depth: int) -> str:
        values = {
            name: self._translated(value, words, depth - 1) or value for name, value in template.values(match).items()
        }
        return words(template.text) % values

    def _in_a_row(self, text: str, separator: str, words: Words, depth: int) -> str | None:
        """Sentences one after the other; the first is one of ours, what follows may be another's."""
        for template in self._beginning(text):
            if separator == " " and not template.text.endswith("."):
                continue  # a word: what follows belongs to it
            match = template.followed.match(text)
            if match is not None and text.startswith(separator, match.end()):
                rest = text[match.end() + len(separator) :]
                said = self._said(template, match, words, depth)
                return f"{said}{separator}{self._translated(rest, words, depth) or rest}"
        return None

    def _listed(self, text: str, words: Words, depth: int) -> str | None:
        """Words or short sentences with commas between them, all of them ours."""
        items = text.split(", ")
        if len(items) < 2:
            return None
        found = [self._translated(item, words, depth - 1) for item in items]
        return None if None in found else ", ".join(item for item in found if item is not None)
