"""The languages of the pages. English stands in the sources; any other is one file, `locale/CODE/LC_MESSAGES/hmi.po`.

Read when the process starts, so there is nothing to compile.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Mapping
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALE = Path(__file__).parent / "locale"
SOURCE = "en"

Words = gettext.NullTranslations
"""`gettext(text)` and `ngettext(one, many, number)`."""


def languages(folder: Path = LOCALE) -> Mapping[str, Words]:
    """By code; English, which stands in the sources, first."""
    found: dict[str, Words] = {SOURCE: gettext.NullTranslations()}
    for file in sorted(folder.glob("*/LC_MESSAGES/hmi.po")):
        code = file.parts[-3]
        with file.open("rb") as text:
            catalogue = read_po(text, locale=code)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        found[code] = gettext.GNUTranslations(compiled)
    return found


def chosen(wanted: str | None, accepted: str, default: str, known: Mapping[str, Words]) -> str:
    """The language of a page: what the person chose, else what the browser asks for, else the station's."""
    if wanted in known:
        return str(wanted)
    for entry in accepted.split(","):
        code = entry.split(";")[0].strip()[:2].lower()
        if code in known:
            return code
    return default
