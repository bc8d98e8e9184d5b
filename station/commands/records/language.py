"""`--language` of what is written for people: by default that of the pages, `[hmi] language`."""

from __future__ import annotations

import argparse

from station.commands.options import BadInput, complain
from station.commands.records.selecting import station_of
from station.reports.production.language import ENGLISH, Language


def add_language_option(parser: argparse.ArgumentParser) -> None:
    """`--language`."""
    parser.add_argument("--language", metavar="CODE",
                        help="of page, PDF and CSV: en, de, or one that was added; default: that of the pages, "
                        "[hmi] language")  # fmt: skip


def language_of(options: argparse.Namespace) -> Language:
    """The language that was asked for, else that of the pages; where that cannot be read, English, and it is said.

    Raises BadInput: the language that was asked for cannot be read.
    """
    station = station_of(options)
    usual = ENGLISH.code if station is None else station.settings.hmi.language
    code = options.language or usual
    try:
        return language_named(code)
    except BadInput as problem:
        if options.language is not None:
            raise
        complain(f"{problem}; written in English")
        return ENGLISH


def language_named(code: str) -> Language:
    """The language of this code. Raises BadInput: it cannot be read."""
    if code == ENGLISH.code:
        return ENGLISH
    try:
        from station.hmi.words import LanguageError  # noqa: PLC0415  of the extra `hmi`
        from station.hmi.words import language_named as words_named  # noqa: PLC0415
    except ImportError as problem:
        sentence = f"it needs more packages ({problem}); pip install 'edge-inspection-station[hmi]'"
        raise BadInput(f"language {code}: {sentence}") from problem
    try:
        return Language(code, words_named(code).gettext)
    except LanguageError as problem:
        raise BadInput(f"language {code}: {problem}") from problem
