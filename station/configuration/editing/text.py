"""Sets keys in the text of a TOML file and leaves everything else where it is: comments, order, blank lines.

What cannot be written so that the file means exactly what was asked is refused, never written half.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from station.configuration.editing.comments import split_comment
from station.configuration.editing.values import Value, as_toml, key_as_toml
from station.configuration.lines import KEY, TABLE, parts_of

Path: TypeAlias = tuple[str, ...]


class EditError(Exception):
    """The text cannot be changed as asked; the message says what to do by hand."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A header or a key with its value, and the lines that it takes (the last one included)."""

    kind: Literal["table", "array", "key"]
    path: Path
    table: Path
    """Of a key: the table it stands in."""
    first: int
    last: int


def edited_text(text: str, changes: Mapping[Path, Value | None]) -> str:
    """The text with these keys set; None: the key is taken out. A list of tables (`[[decision.zones]]`) is one value.

    Raises EditError: the text writes a key in a way that cannot be changed here.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    for path, value in changes.items():
        lines = _of_tables(lines, path, value) if _is_tables(value) else _of_key(lines, path, value)
    done = "\n".join(lines)
    done = done if done.endswith("\n") else done + "\n"
    wanted = _parsed(text)
    for path, value in changes.items():
        _set(wanted, path, value)
    try:
        means = tomllib.loads(done)
    except tomllib.TOMLDecodeError:
        means = None
    if means is None or _without_empty(means) != _without_empty(wanted):
        keys = "; ".join(".".join(path) + (" taken out" if value is None else f" = {as_toml(value)}")
                         for path, value in changes.items())  # fmt: skip
        raise EditError(f"the file writes this in a way that cannot be changed here; set it by hand: {keys}")
    return done.replace("\n", "\r\n") if "\r\n" in text else done


def _is_tables(value: Value | None) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Mapping) for each in value)


# ---- one key --------------------------------------------------------------------------------------------------------


def _of_key(lines: list[str], path: Path, value: Value | None) -> list[str]:
    entries = _scan(lines)
    if value is None or not isinstance(value, Mapping):
        lines = _without_tables(lines, [each for each in entries if each.kind == "array" and each.path == path])
        entries = _scan(lines)
    found = next((each for each in entries if each.kind == "key" and each.path == path), None)
    if found is not None:
        return _replaced(lines, found, value)
    around = next((e for e in entries if e.kind == "key" and path[: len(e.path)] == e.path), None)
    if around is not None:  # an inline table: written anew as a whole
        inline = _value_of(lines, around)
        _set(inline, path[len(around.path) :], value)
        return _replaced(lines, around, inline)
    return lines if value is None else _inserted(lines, entries, path, value)


def _replaced(lines: list[str], entry: _Entry, value: Value | None) -> list[str]:
    """Its value anew; a comment behind it stays. Taken out, a line with a comment becomes one."""
    first, last = lines[entry.first], lines[entry.last]
    _, comment = split_comment(last if entry.first == entry.last else "")
    if value is None:
        kept = [f"# {first}"] if comment.strip() else []
        return [*lines[: entry.first], *kept, *lines[entry.last + 1 :]]
    match = KEY.match(first)
    assert match is not None
    blank = " " if first[match.end() : match.end() + 1] in ("", " ") else ""
    return [*lines[: entry.first], f"{match[0]}{blank}{as_toml(value)}{comment}", *lines[entry.last + 1 :]]


def _inserted(lines: list[str], entries: Sequence[_Entry], path: Path, value: Value) -> list[str]:
    """In its table, behind the last key of it; a table that is not there comes behind its nearest relative."""
    table, key = path[:-1], key_as_toml(path[-1])
    same = [each for each in entries if each.kind == "key" and each.table == table and len(each.path) > len(table)]
    header = next((each for each in entries if each.kind == "table" and each.path == table), None)
    if same or header is not None or not table:
        behind = same[-1].last if same else header.last if header is not None else -1
        return [*lines[: behind + 1], f"{key} = {as_toml(value)}", *lines[behind + 1 :]]
    dotted = [e for e in entries if e.kind == "key" and e.table != table and e.path[: len(table)] == table]
    if dotted and len(dotted[-1].table) < len(table):
        near = dotted[-1]
        name = ".".join(key_as_toml(part) for part in path[len(near.table) :])
        return [*lines[: near.last + 1], f"{name} = {as_toml(value)}", *lines[near.last + 1 :]]
    name = ".".join(key_as_toml(part) for part in table)
    return _new_block(lines, entries, path, [f"[{name}]", f"{key} = {as_toml(value)}"])


def _new_block(lines: list[str], entries: Sequence[_Entry], path: Path, block: Sequence[str]) -> list[str]:
    relatives = [each for each in entries if each.path[:1] == path[:1]]
    behind = relatives[-1].last if relatives else _end(lines) - 1
    tail = lines[behind + 1 :]
    return [
        *lines[: behind + 1],
        *([""] if behind >= 0 else []),
        *block,
        *([] if not tail or not tail[0] else [""]),
        *tail,
    ]


def _end(lines: Sequence[str]) -> int:
    """Behind the last line that holds anything."""
    return next((number for number in range(len(lines), 0, -1) if lines[number - 1].strip()), 0)


# ---- a list of tables -----------------------------------------------------------------------------------------------


def _of_tables(lines: list[str], path: Path, value: Any) -> list[str]:
    """`[[path]]`, one block each. A block whose `name` stays keeps its text but for what differs."""
    entries = _scan(lines)
    inline = next((each for each in entries if each.kind == "key" and each.path == path), None)
    if inline is not None:
        return _replaced(lines, inline, value)
    heads = [each for each in entries if each.kind == "array" and each.path == path]
    known = {}
    for head in heads:
        begin, end = _block(lines, entries, head)
        text = lines[begin:end]
        known[_name_of(text, path)] = text
    blocks = [_block_of(known.get(str(table.get("name"))), path, table) for table in value]
    new = [line for number, block in enumerate(blocks) for line in ([""] if number else []) + block]
    if not heads:
        return _new_block(lines, entries, path, new)
    first = _block(lines, entries, heads[0])[0]
    cleared = _without_tables(lines, heads)
    return [*cleared[:first], *new, *([""] if cleared[first:] and cleared[first] else []), *cleared[first:]]


def _block_of(known: list[str] | None, path: Path, table: Mapping[str, Value]) -> list[str]:
    if known is None:
        name = ".".join(key_as_toml(part) for part in path)
        return [f"[[{name}]]", *(f"{key_as_toml(key)} = {as_toml(each)}" for key, each in table.items())]
    head = next(number for number, line in enumerate(known) if TABLE.match(line))
    before = _parsed("\n".join(known[head + 1 :]))
    changes: dict[Path, Value | None] = {(key,): table.get(key) for key in [*before, *table]}
    changes = {key: each for key, each in changes.items() if before.get(key[0]) != each}
    return [*known[: head + 1], *edited_text("\n".join(known[head + 1 :]), changes).rstrip("\n").split("\n")]


def _name_of(block: Sequence[str], path: Path) -> str:
    table: Any = _parsed("\n".join(block))
    for part in path:
        table = table[part]
    return str(table[0].get("name"))


def _block(lines: Sequence[str], entries: Sequence[_Entry], head: _Entry) -> tuple[int, int]:
    """From the comments right above the header to the last line of its keys."""
    begin = head.first
    while begin and lines[begin - 1].lstrip().startswith("#"):
        begin -= 1
    end = head.last
    for each in entries:
        if each.first > head.first:
            if each.kind != "key":
                break
            end = each.last
    return begin, end + 1


def _without_tables(lines: list[str], heads: Sequence[_Entry]) -> list[str]:
    for head in reversed(heads):
        begin, end = _block(lines, _scan(lines), head)
        while end < len(lines) and not lines[end].strip():
            end += 1
        lines = [*lines[:begin], *lines[end:]]
    return lines


# ---- the text -------------------------------------------------------------------------------------------------------


def _scan(lines: Sequence[str]) -> list[_Entry]:
    entries: list[_Entry] = []
    table: Path = ()
    number = 0
    while number < len(lines):
        line, last = lines[number], number
        if header := TABLE.match(line):
            table = parts_of(header[2])
            is_array = header[1] == "[["
            entries.append(_Entry("array" if is_array else "table", table, table, number, number))
            table = (*table, "[]") if is_array else table
        elif key := KEY.match(line):
            last = _last_line(lines, number)
            entries.append(_Entry("key", (*table, *parts_of(key[1])), table, number, last))
        number = last + 1
    return entries


def _last_line(lines: Sequence[str], first: int) -> int:
    """A value may go on over several lines: until it is whole."""
    for last in range(first, len(lines)):
        try:
            tomllib.loads("\n".join(lines[first : last + 1]))
        except tomllib.TOMLDecodeError:
            continue
        return last
    raise EditError(f"line {first + 1} cannot be read; is the file valid? station check")


def _value_of(lines: Sequence[str], entry: _Entry) -> Any:
    value: Any = tomllib.loads("\n".join(lines[entry.first : entry.last + 1]))
    for part in entry.path[len(entry.table) :]:
        value = value[part]
    return value


def _parsed(text: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise EditError(f"is not valid TOML: {problem}") from problem
    return parsed


def _set(data: Any, path: Path, value: Value | None) -> None:
    for part in path[:-1]:
        _check_table(data, path)
        if value is None and part not in data:
            return
        data = data.setdefault(part, {})
    _check_table(data, path)
    if value is None:
        data.pop(path[-1], None)
    else:
        data[path[-1]] = copy.deepcopy(list(value) if isinstance(value, tuple) else value)


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    """Without tables that hold nothing: they may go with the last zone, and mean nothing."""
    kept = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in kept.items() if value != {}}


def _check_table(data: Any, path: Path) -> None:
    if not isinstance(data, dict):
        raise EditError(f"{'.'.join(path)} cannot be set: the file has a value in place of a table; correct it by hand")
