"""The languages of the pages. English stands in the sources; any other is one file, `locale/CODE/LC_MESSAGES/hmi.po`.

Read when the process starts, so there is nothing to compile, and a file that is added is a language: what it leaves out
stays English.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Mapping
from pathlib import Path

from babel.core import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

LOCALE = Path(__file__).parent / "locale"
SOURCE = "en"

Words = gettext.NullTranslations
"""`gettext(text)` and `ngettext(one, many, number)`."""


class LanguageError(Exception):
    """The file of a language cannot be read, or the language that is configured has none."""


def languages(folder: Path | None = None) -> Mapping[str, Words]:
    """By code; English, which stands in the sources, first. `folder`: `LOCALE` without.

    Raises:
        LanguageError: a file cannot be read.
    """
    return {code: _read(file, code) for code, file in _files(folder).items()}


def language_named(code: str, folder: Path | None = None) -> Words:
    """One of them, without a look at the others. Raises LanguageError: there is none of this code."""
    files = _files(folder)
    if code not in files:
        there = ", ".join(files)
        raise LanguageError(f"there is no {folder or LOCALE}/{code:.20}/LC_MESSAGES/hmi.po; there are {there}")
    return _read(files[code], code)


def _files(folder: Path | None) -> dict[str, Path | None]:
    """By code, English first: its texts stand in the sources."""
    found = sorted((folder or LOCALE).glob("*/LC_MESSAGES/hmi.po"))
    return {SOURCE: None} | {file.parts[-3]: file for file in found}


def _read(file: Path | None, code: str) -> Words:
    """Raises LanguageError."""
    if file is None:
        return gettext.NullTranslations()
    try:
        return _compiled(file, code)
    except (OSError, ValueError, PoFileError) as problem:
        raise LanguageError(f'texts "{file}" cannot be read: {problem}; correct or remove the file') from problem


def _compiled(file: Path, code: str) -> Words:
    try:
        locale: Locale | None = Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        locale = None  # its plural forms stand in the file
    with file.open("rb") as text:
        catalogue = read_po(text, locale=locale, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def check_known(language: str, known: Mapping[str, Words]) -> None:
    """Raises LanguageError when a language that is configured has no file."""
    if language not in known:
        raise LanguageError(
            f'[hmi] language = "{language}": there is no {LOCALE}/{language}/LC_MESSAGES/hmi.po; there are '
            f"{', '.join(known)}"
        )


def chosen(wanted: str | None, accepted: str, default: str, known: Mapping[str, Words]) -> str:
    """The language of a page: what the person chose, else what the browser asks for, else the station's."""
    if wanted in known:
        return str(wanted)
    by_name = {code.lower().replace("_", "-"): code for code in known}
    for entry in accepted.split(","):
        asked = entry.split(";")[0].strip().lower()
        short = asked.partition("-")[0]
        alike = [code for name, code in by_name.items() if name.partition("-")[0] == short]
        if asked in by_name or short in by_name or alike:
            return by_name.get(asked) or by_name.get(short) or alike[0]
    return default
