"""`station engine`: what is in the engine store, and which engine the station uses."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from getpass import getpass
from pathlib import Path
from typing import Any

from rich.table import Table

from engines.bundle.manifest import VARIANTS_ANSWERS
from engines.errors import EngineError, StoreError
from engines.signatures.secret_key import read_secret_key
from engines.store.gate import Said
from engines.store.signed import beside
from engines.store.store import EngineStore, manifest_of
from engines.store.versions import Version, elsewhere, moved_in_words
from station.commands.engines.compare import add_compare_parser
from station.commands.engines.facts import as_json, facts, signer_of
from station.commands.engines.gate import add_gate_parser, checks_of
from station.commands.engines.kinds import add_kinds_parser
from station.commands.engines.plan import add_build_parser
from station.commands.engines.shadow import add_shadow_parser
from station.commands.engines.taking_up import add_recipe_option, ask_for_two, take_up
from station.commands.engines.teach import price_table
from station.commands.options import (
    EXIT_BAD_INPUT,
    add_config_option,
    add_json_option,
    complain,
    print_json,
)
from station.commands.options import show as show_done
from station.commands.progress import add_progress_option, end, signs_of
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.jobs.engine_check import check_engine
from station.reports.candidate.gate import with_override
from station.reports.shifts import calendar_of
from station.terminal import coloured, console, say

_JSON = {
    "list": "store, engines, history, elsewhere",
    "show": "the manifest of the engine",
    "verify": "a list of version, ok, detail",
    "activate": "product, active, before, in_use, detail; with two people: waiting",
    "rollback": "product, active, before, in_use, detail; with two people: waiting",
    "export": "file, version, sha256, signature, pictures",
    "import": "version, signed_by",
}
ENGINE = "engine"
"""Of `[access] second_person`."""
_VERSION_HELP = "number, name or start of the id; `active`; `latest`"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `engine` and what can be done with engines."""
    parser = commands.add_parser(
        "engine", help="the engine store: list, show, verify, activate, roll back, carry over, build for a GPU"
    )
    actions = parser.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")

    def action(name: str, run: Callable[[argparse.Namespace, LoadedConfiguration, EngineStore], int], text: str) -> Any:
        added = actions.add_parser(name, help=text)
        add_config_option(added)
        add_json_option(added, _JSON[name])
        add_recipe_option(added)
        added.set_defaults(run=_with_store(run))
        return added

    action("list", list_engines, "all versions, which one is active, and what was done")
    showing = action("show", show, "one version: what it is, its limits, what it was taught from")
    showing.add_argument("version", nargs="?", default="active", metavar="VERSION", help=_VERSION_HELP)
    verifying = action("verify", verify, "check hashes and golden images of versions")
    verifying.add_argument("versions", nargs="*", metavar="VERSION", help=f"{_VERSION_HELP}; none: all")
    add_progress_option(verifying)
    activating = action("activate", activate, "use another version: verified, then taken up by the running station")
    activating.add_argument("version", metavar="VERSION", help=_VERSION_HELP)
    activating.add_argument(
        "--variants", choices=VARIANTS_ANSWERS, help="images that look alike and were not learned: defects (remove)?"
    )
    going_back = action("rollback", rollback, "use the version that was active before; again: further back")
    for changing in (activating, going_back):
        changing.add_argument(
            "--why", default="", metavar="TEXT", help="for the history; needed for an engine that finds next to nothing"
        )
        changing.add_argument("--no-reload", action="store_true", help="do not have the running station load it")
    exporting = action("export", export, "write a version to a single file")
    exporting.add_argument("version", metavar="VERSION", help=_VERSION_HELP)
    exporting.add_argument("output", type=Path, metavar="FILE", help="new file, usually NAME.tar")
    exporting.add_argument(
        "--pictures", action="store_true", help="also its reference pictures, which show good parts: FILE.pictures"
    )
    _add_sign_option(exporting, "sign it: FILE.minisig beside it; without, that of the version comes along, if any")
    importing = action("import", import_engine, "add an exported file, or a folder made by `station teach`")
    importing.add_argument("source", type=Path, metavar="PATH", help="file or folder")
    importing.add_argument("--why", default="", metavar="TEXT", help="for the history")
    importing.add_argument("--sha256", type=_sha256, metavar="HEX", help="refuse a file that has another SHA-256")
    importing.add_argument(
        "--no-pictures", action="store_true", help="leave out the reference pictures (PATH.pictures, or in the folder)"
    )
    _add_sign_option(importing, "sign the engine in a folder")
    add_build_parser(actions)
    add_compare_parser(actions, _with_store)
    add_shadow_parser(actions, _with_store)
    add_gate_parser(actions, _with_store)
    add_kinds_parser(actions, _with_store)


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no SHA-256: 64 hexadecimal digits, as station engine export says"
        )
    return text.lower()


def _add_sign_option(parser: Any, text: str) -> None:
    parser.add_argument("--sign", type=Path, metavar="KEY", help=f"{text}; KEY is a secret key of minisign")


def store_of(configuration: LoadedConfiguration) -> EngineStore:
    """The store of the configured product. Raises StoreError when none is configured."""
    if configuration.engine_store is None:
        raise StoreError(
            f'{configuration.path}: no engine store is configured; set [engine] store = "engines" in place of path'
        )
    return EngineStore(configuration.engine_store, check=check_engine, trust=configuration.trust)


def _with_store(
    run: Callable[[argparse.Namespace, LoadedConfiguration, EngineStore], int],
) -> Callable[[argparse.Namespace], int]:
    def run_with_store(options: argparse.Namespace) -> int:
        try:
            configuration = config.load(options.config, options.recipe)
            return run(options, configuration, store_of(configuration))
        except (ConfigurationError, EngineError) as problem:
            return complain(problem)

    return run_with_store


def list_engines(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """All versions and the last events."""
    active = _active_or_none(store)
    calendar = calendar_of(configuration.settings.station)
    if options.json:
        rows = [as_json(version, active, calendar) for version in store.versions()]
        history = [{**asdict(event), "time": calendar.iso_of_text(event.time)} for event in store.events()]
        others = list(elsewhere(store.path))
        print_json({"store": store.path, "engines": rows, "history": history, "elsewhere": others})
        return 0
    table = Table("version", "", "made", "detector", "images", "removed", title=f"engines in {store.path}")
    for version in store.versions():
        mark = coloured("active", "green") if version == active else ""
        try:
            manifest = manifest_of(version)
        except EngineError as problem:
            table.add_row(version.name, mark, coloured(problem, "red"))
            continue
        taught = manifest.training
        counts = str(taught.image_count), str(taught.removed_count)
        table.add_row(version.name, mark, calendar.of_text(manifest.created, "min"), manifest.detector, *counts)
    console().print(table)
    events = Table("when", "who", "what", "from", "to", "why", title="history, newest last")
    for event in store.events()[-10:]:
        why = f"{event.why} (signed by key {event.signed_by})".strip() if event.signed_by else event.why
        events.add_row(
            calendar.of_text(event.time, "min"),
            event.who,
            event.action.value,
            event.before or "",
            event.after or "",
            why,
        )
    if events.row_count:
        console().print(events)
    if not table.row_count and (hint := moved_in_words(store.path)):
        say(hint)
    return 0


def show(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """One version."""
    calendar = calendar_of(configuration.settings.station)
    version = store.find(options.version)
    manifest = manifest_of(version)
    if options.json:
        print_json(manifest.model_dump(mode="json"))
        return 0
    table = Table(show_header=False, title=f"engine {version.name}")
    for key, value in facts(version, manifest, calendar).items():
        table.add_row(key, value)
    table.add_row("signed by", signer_of(version, store))
    for event in store.events():
        if version.name in (event.before, event.after):
            by_key = f" (signed by key {event.signed_by})" if event.signed_by else ""
            table.add_row(
                f"{calendar.of_text(event.time, 'min')} {event.action.value}",
                f"{event.who} {event.why}".strip() + by_key,
            )
    shown = console()
    shown.print(table)
    if manifest.reviews is not None:
        shown.print(price_table(manifest.reviews))
    return 0


def verify(options: argparse.Namespace, _: LoadedConfiguration, store: EngineStore) -> int:
    """Hashes and golden images; exit code 2 when any is wrong."""
    versions = [store.find(selector) for selector in options.versions] or store.versions()
    if not versions:
        raise StoreError(f'store "{store.path}" holds no engine{_with_hint(moved_in_words(store.path))}')
    found: list[dict[str, Any]] = []
    signs = signs_of(options)
    for number, version in enumerate(versions):
        signs("verify", number, len(versions))
        try:
            signer = store.verify(version)
        except EngineError as problem:
            found.append({"version": version.name, "ok": False, "detail": str(problem)})
        else:
            by_key = "" if signer is None else f"; signed by {signer}"
            found.append({"version": version.name, "ok": True, "detail": f"hashes and golden images agree{by_key}"})
    wrong = [f"{one['version']}: {one['detail']}" for one in found if not one["ok"]]
    if options.json:
        print_json(found)
    elif options.progress is None:
        table = Table("version", "", "found")
        for one in found:
            mark = coloured("ok", "green") if one["ok"] else coloured("wrong", "red")
            table.add_row(one["version"], mark, one["detail"])
        console().print(table)
    end(options, verified=[version.name for version in versions], failed=wrong)
    return EXIT_BAD_INPUT if wrong else 0


def activate(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """Verify, switch, and let the running station take it up. What the gate has against it needs a reason."""
    version = store.find(options.version)
    if ENGINE in configuration.settings.access.second_person:
        asked = {"action": "activate", "version": version.name, "why": options.why, "variants": options.variants}
        return ask_for_two(options, configuration, {"command": "engine", **asked})
    why = with_override(checks_of(configuration, store, version), options.why)
    change = store.activate(version, why=why, said=Said(options.variants, options.why))
    return take_up(options, configuration, store, change)


def rollback(options: argparse.Namespace, configuration: LoadedConfiguration, store: EngineStore) -> int:
    """As `activate`, with the version that was active before."""
    if ENGINE in configuration.settings.access.second_person:
        asked = {"command": "engine", "action": "rollback", "why": options.why}
        return ask_for_two(options, configuration, asked)
    return take_up(options, configuration, store, store.rollback(why=options.why))


def export(options: argparse.Namespace, _: LoadedConfiguration, store: EngineStore) -> int:
    """To a file; prints its hash, to be compared on the other side."""
    version = store.find(options.version)
    key = None if options.sign is None else read_secret_key(options.sign, key_password)
    exported = store.export(version, options.output, sign=key, pictures=options.pictures)
    lines = [f"{options.output}: engine {version.name}, sha256 {exported.sha256}"]
    if exported.signature is not None:
        by = "its signature" if key is None else f"signed with key {key.key_id}"
        lines.append(f"{exported.signature}: {by}")
    if exported.pictures is not None:
        lines.append(f"{exported.pictures}: its reference pictures, which show good parts")
    elif options.pictures:
        lines.append("it keeps no reference pictures: it was taught without, or by older software")
    written = {"file": options.output, "version": version.name, "sha256": exported.sha256}
    show_done(options, {**written, "signature": exported.signature, "pictures": exported.pictures}, *lines)
    return 0


def import_engine(options: argparse.Namespace, _: LoadedConfiguration, store: EngineStore) -> int:
    """From a file or a folder; never activates."""
    is_folder = options.source.is_dir()
    if is_folder and options.sha256 is not None:
        return complain("--sha256 is for files; a folder has none")
    if not is_folder and options.sign is not None:
        return complain("--sign is for folders; a file comes with its signature: station engine export --sign")
    if is_folder:
        key = None if options.sign is None else read_secret_key(options.sign, key_password)
        version = store.import_folder(options.source, why=options.why, sign=key, pictures=not options.no_pictures)
    else:
        version = store.import_archive(
            options.source, why=options.why, sha256=options.sha256, pictures=not options.no_pictures
        )
    signer = store.signer(version)
    by_key = "" if signer is None else f", signed by {signer}"
    said = f"{version.name} is in the store{by_key}; to use it: station engine activate {version.number}"
    show_done(options, {"version": version.name, "signed_by": None if signer is None else str(signer)}, said)
    if signer is None and (options.sign is not None or (not is_folder and beside(options.source).exists())):
        say("its signature is by a key that is not trusted here and was not kept: [engine] trusted_keys", error=True)
    return 0


def key_password() -> str:
    """Of a secret key: from the terminal, else a line of standard input."""
    return getpass("password of the secret key: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _with_hint(hint: str) -> str:
    return f"; {hint}" if hint else ""


def _active_or_none(store: EngineStore) -> Version | None:
    try:
        return store.active()
    except StoreError as problem:
        complain(problem)
        return None
