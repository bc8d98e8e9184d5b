"""`station audit verify` and `anchor`: whether the chains are those of which heads were kept elsewhere."""

from __future__ import annotations

import argparse
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path

from station.access import audit_chain
from station.access.accounts_schema import ACCOUNTS_FILE, opened
from station.commands.options import BadInput, print_json
from station.commands.options import show as show_done
from station.commands.records.selecting import Place, station_of
from station.records.anchors.kept import Anchor, AnchorError, all_heads, anchors_of, departs, heads_in, is_hash
from station.records.audit import ACCOUNTS, CHANGES, Head, Verified, verify
from station.records.schema import open_reader
from station.reports.production.stored import DATA, FOLDER
from station.terminal import say


def verify_chains(options: argparse.Namespace, place: Place) -> int:
    """Of the changes in the records, and of what was done to accounts: whole, and those of the heads that were kept."""
    hashes = [one for one in options.anchor if is_hash(one)]
    try:
        anchors = [anchor for one in options.anchor if not is_hash(one) for anchor in anchors_of(one)]
    except AnchorError as problem:
        raise BadInput(str(problem)) from problem
    given = len(anchors) + len(hashes)
    kept = _of_stored_reports(place)
    anchors += kept
    found: dict[str, Verified] = {}
    missing = set(hashes)
    folder = _accounts_of(options, place)
    if folder is not None:
        with opened(folder) as connection:
            whole = audit_chain.verify(connection)
            found[ACCOUNTS] = _held(connection, Verified(whole.rows, whole.head, whole.broken), anchors, ACCOUNTS)
            missing -= {one for one in hashes if not audit_chain.verify(connection, one).broken}
            anchors += [Anchor(one, "the trail of accounts") for one in _in_trail(connection)]
    with closing(open_reader(place.records)) as connection:
        found = {CHANGES: _held(connection, verify(connection), anchors, CHANGES), **found}
        missing -= {one for one in hashes if not verify(connection, one).broken}
    if missing:
        gone = f"no row has the hash {sorted(missing)[0]}: the end was cut off, or all is new"
        found = {name: one if one.broken else replace(one, broken=gone) for name, one in found.items()}
    if options.json:
        print_json({CHANGES: None, ACCOUNTS: None, "anchors": given + len(kept)}
                   | {name: asdict(one) for name, one in found.items()})  # fmt: skip
        return int(any(one.broken for one in found.values()))
    for name, one in found.items():
        say(f"{name}: {one.rows} rows are whole, the last hash is {one.head}")
        if one.broken:
            say(f"{name}: {one.broken}", error=True)
    say(_what_is_not_known(given, len(kept)))
    return int(any(one.broken for one in found.values()))


def _held(connection: sqlite3.Connection, whole: Verified, anchors: Sequence[Anchor], chain: str) -> Verified:
    """The chain held against heads; where it departs counts more than what does not fit inside."""
    if whole.rows == 0 and whole.broken:
        return whole  # there is no chain yet
    departed = departs(connection, anchors, chain)
    return replace(whole, broken="; ".join(text for text in (departed, whole.broken) if text)) if departed else whole


def _what_is_not_known(given: int, kept: int) -> str:
    of_reports = f"{kept} heads of stored reports" if kept else "no stored report with a head"
    if given:
        return f"held against {given} heads that were given and {of_reports}; rows behind the newest are not covered"
    return (
        f"held against {of_reports}, on the same disk: who may write all of it can make chain and reports anew, and "
        "cut off their end. Only a head that was kept elsewhere shows that: --anchor FILE|HEAD; station audit anchor"
    )


def _of_stored_reports(place: Place) -> list[Anchor]:
    folder = place.records.parent / FOLDER
    try:
        files = sorted(folder.glob(f"*{DATA}"))
    except OSError:
        return []
    found = []
    for file in files:
        with suppress(AnchorError):
            found += anchors_of(str(file))
    return found


def _in_trail(connection: sqlite3.Connection) -> list[Head]:
    """Heads of changes that the pages have entered into the trail of accounts."""
    rows = connection.execute("SELECT object FROM audit WHERE action = ?", (audit_chain.ANCHOR,))
    return sorted(head for (text,) in rows for head in heads_in(str(text).encode()))


def show_heads(options: argparse.Namespace, place: Place) -> int:
    """The heads of now, or of all rows."""
    heads: dict[str, list[Head]] = {CHANGES: [], ACCOUNTS: []}
    with closing(open_reader(place.records)) as connection:
        heads[CHANGES] = list(all_heads(connection, CHANGES))
    if (folder := _accounts_of(options, place)) is not None:
        with opened(folder) as connection:
            heads[ACCOUNTS] = list(all_heads(connection, ACCOUNTS))
    now = {name: str(rows[-1]) if rows else None for name, rows in heads.items()}
    if options.output is not None:
        lines = [f"{head}\n" for rows in heads.values() for head in rows]
        try:
            with options.output.open("x", encoding="ascii") as file:
                file.writelines(lines)
        except OSError as problem:
            raise BadInput(f"--output {options.output}: {problem.strerror}") from problem
    said = [text for text in now.values() if text] or ["there is no chain yet: the next start of the station makes it"]
    written = [] if options.output is None else [f"wrote {options.output}: the heads of {len(lines)} rows"]
    show_done(options, {**now, "file": options.output}, *said, *written)
    return 0


def _accounts_of(options: argparse.Namespace, place: Place) -> Path | None:
    """The folder of the accounts; None: there are none, or nobody but their owner may read them."""
    station = station_of(options)
    chosen = None if station is None else station.settings.hmi.data_dir
    folder = place.records.parent / "hmi" if station is None or chosen is None else station.resolve(chosen)
    return folder if os.access(folder / ACCOUNTS_FILE, os.R_OK | os.W_OK) else None
