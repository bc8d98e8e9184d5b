"""Runs a function block in structured text: enough of IEC 61131-3 for the example program in deploy/plc.

The text is translated to Python, statement by statement. Types follow the prefix of a name (udi, ui, w, x, i, st), as
the program has it throughout; UDINT wraps around as in a PLC.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_COMMENT = re.compile(r"\(\*.*?\*\)", re.DOTALL)
_STATEMENT = re.compile(r"\s*(.*?(?:;|\bTHEN\b|\bDO\b|\bELSE\b))", re.DOTALL)
_TOKEN = re.compile(r"T#\d+m?s|16#[0-9A-F_]+|\d+|[A-Za-z_]\w*|:=|<>|<=|>=|[-+*/=<>()\[\].,;]")
_WORDS = {"AND": "and", "OR": "or", "NOT": "not", "MOD": "%", "TRUE": "True", "FALSE": "False", "=": "==",
          "<>": "!=", "/": "//"}  # fmt: skip
_CONVERSIONS = {"WORD_TO_UDINT": "U32", "UDINT_TO_WORD": "int", "UINT_TO_WORD": "int"}


class U32(int):
    """UDINT: what does not fit wraps around."""

    def __new__(cls, value: int) -> U32:
        return super().__new__(cls, value & 0xFFFF_FFFF)

    def __add__(self, other: int) -> U32:
        return U32(int(self) + other)

    def __sub__(self, other: int) -> U32:
        return U32(int(self) - other)

    def __mul__(self, other: int) -> U32:
        return U32(int(self) * other)

    __radd__, __rmul__ = __add__, __mul__


class RisingEdge:
    """R_TRIG."""

    def __init__(self, _block: FunctionBlock) -> None:
        self.Q = self._before = False

    def __call__(self, *, CLK: bool) -> None:  # noqa: N803
        self.Q, self._before = CLK and not self._before, CLK


class OnDelay:
    """TON."""

    def __init__(self, block: FunctionBlock) -> None:
        self._block = block
        self._since_ms: int | None = None
        self.Q = False

    def __call__(self, *, IN: bool, PT: int) -> None:  # noqa: N803
        now_ms = self._block.now_ms
        self._since_ms = (now_ms if self._since_ms is None else self._since_ms) if IN else None
        self.Q = self._since_ms is not None and now_ms - self._since_ms >= PT


class FunctionBlock:
    """The block of a file; `v` holds its variables, `scan` runs it once at `now_ms`."""

    def __init__(self, path: Path) -> None:
        text = _COMMENT.sub("", path.read_text())
        self.now_ms = 0
        self._fields = re.findall(r"(\w+) : (\w+);", re.findall(r"STRUCT(.*?)END_STRUCT", text, re.DOTALL)[0])
        declared, body = re.fullmatch(
            r".*FUNCTION_BLOCK \w+(.*END_VAR)(.*)END_FUNCTION_BLOCK\s*", text, re.DOTALL
        ).groups()  # type: ignore[union-attr]
        self.v = SimpleNamespace()
        for name, kind, value in re.findall(r"(\w+) : ([^;:]+?)(?: := ([^;]+))?;", declared):
            setattr(self.v, name, self._initial(name, kind, value))
        names = {name for name, _, _ in re.findall(r"(\w+) : ([^;:]+?)(?: := ([^;]+))?;", declared)}
        self.code = _translate(body, names)
        self._scan: Callable[[], None] = self._compile()

    def scan(self, now_ms: int, **inputs: Any) -> None:
        """One cycle of the PLC."""
        self.now_ms = now_ms
        for name, value in inputs.items():
            setattr(self.v, name, _convert(name)(value))
        self._scan()

    def _initial(self, name: str, kind: str, value: str) -> Any:
        if array := re.fullmatch(r"ARRAY\[0\.\.(\d+)\] OF (\w+)", kind):
            return [self._initial(name[1:], array[2], "") for _ in range(int(array[1]) + 1)]
        match kind:
            case "R_TRIG":
                return RisingEdge(self)
            case "TON":
                return OnDelay(self)
            case "ST_Part":
                return SimpleNamespace(**{field: _convert(field)(0) for field, _ in self._fields})
            case "TIME" | "UDINT":
                number = eval(_expression(value, set())) if value else 0  # noqa: S307  of our own file
                return U32(number) if kind == "UDINT" else number
        return _convert(name)(int(value or 0)) if name[0].islower() else int(value)

    def _compile(self) -> Callable[[], None]:
        space: dict[str, Any] = {"v": self.v, "U32": U32, "convert": _convert}
        exec(self.code, space)  # noqa: S102  translated from our own file
        scan: Callable[[], None] = space["scan"]
        return scan


def _convert(name: str) -> Callable[[Any], Any]:
    """What an assignment to this name makes of a value."""
    prefix = re.match(r"[a-z]*", name.rsplit(".", 1)[-1])
    assert prefix is not None
    kinds: dict[str, Any] = {
        "udi": U32,
        "ui": lambda value: value & 0xFFFF,
        "w": lambda value: value & 0xFFFF,
        "x": bool,
        "i": int,
    }
    kinds |= {"w": kinds["ui"], "aw": kinds["ui"], "ax": bool, "ast": copy.copy, "st": copy.copy}
    kind: Callable[[Any], Any] = kinds[prefix[0]]
    return kind


def _translate(body: str, names: set[str]) -> str:
    lines, depth = ["def scan():"], 1
    body = body.strip()
    while body:
        if closing := re.match(r"END_(?:IF|FOR)\b;?\s*", body):
            depth -= 1
            body = body[closing.end() :]
            continue
        found = _STATEMENT.match(body)
        assert found is not None, body[:80]
        statement, body = found[1].strip(), body[found.end() :].strip()
        if statement.startswith(("ELSIF", "ELSE")):
            depth -= 1
        lines.append("    " * depth + _python(statement, names))
        if lines[-1].endswith(":"):
            depth += 1
    return "\n".join(lines)


def _python(statement: str, names: set[str]) -> str:
    if statement == "ELSE":
        return "else:"
    if condition := re.fullmatch(r"(IF|ELSIF)\b(.*)\bTHEN", statement, re.DOTALL):
        return f"{'if' if condition[1] == 'IF' else 'elif'} {_expression(condition[2], names)}:"
    if loop := re.fullmatch(r"FOR (\w+) := (.*) TO (.*) DO", statement):
        first, last = (_expression(loop[group], names) for group in (2, 3))
        return f"for v.{loop[1]} in range({first}, {last} + 1):"
    if call := re.fullmatch(r"(\w+)\((.*)\);", statement, re.DOTALL):
        return f"v.{call[1]}({_expression(call[2].replace(':=', ' := '), names, call=True)})"
    target, _, value = statement.rstrip(";").partition(":=")
    kind = re.sub(r"\[.*?\]", "", target.strip())
    return f'{_expression(target, names)} = convert("{kind}")({_expression(value, names)})'


def _expression(text: str, names: set[str], *, call: bool = False) -> str:
    tokens = []
    for token in _TOKEN.findall(text):
        if token.startswith("T#"):
            tokens.append(str(int(re.sub(r"\D", "", token)) * (1 if token.endswith("ms") else 1000)))
        elif token.startswith("16#"):
            tokens.append(str(int(token[3:].replace("_", ""), 16)))
        elif token == ":=" and call:
            tokens.append("=")
        elif token in names and (not tokens or tokens[-1] != "."):
            tokens.append(f"v.{token}")
        else:
            tokens.append(_CONVERSIONS.get(token, _WORDS.get(token, token)))
    return " ".join(tokens)
