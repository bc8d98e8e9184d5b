"""What the package uses of `tensorrt`, read from its source: a new call is in the list by itself.

Objects of TensorRT are known by their annotation (`engine: tensorrt.ICudaEngine = ...`), the module by its names in
this package (`trt`, `self._trt`, `libraries.tensorrt`). What is called on them, and with which arguments, is collected.
A result that is bound to a name without an annotation is collected, too: it must be no object of TensorRT.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

MODULE_NAMES = {"trt", "_trt"}
MODULE_ATTRIBUTES = {"_trt", "tensorrt"}
ANNOTATION = "tensorrt"
CONTAINER = "[]"


@dataclass(frozen=True, order=True)
class Call:
    """A call of `owner.name`; `owner` is empty for the module itself."""

    owner: str
    name: str
    positional: int
    keywords: tuple[str, ...]
    anonymous: bool
    """Its result is bound to a name without annotation."""


@dataclass
class Used:
    """Everything that one file uses."""

    names: set[str] = field(default_factory=set)
    """Dotted, in the module."""
    members: set[tuple[str, str]] = field(default_factory=set)
    """(class, attribute)."""
    calls: set[Call] = field(default_factory=set)
    overridden: set[tuple[str, str]] = field(default_factory=set)
    """(base class, method) of our own subclasses, those without a leading underscore."""

    def as_json(self) -> dict[str, list[list[object]]]:
        return {
            "names": [[name] for name in sorted(self.names)],
            "members": [list(member) for member in sorted(self.members)],
            "calls": [[c.owner, c.name, c.positional, list(c.keywords), c.anonymous] for c in sorted(self.calls)],
            "overridden": [list(pair) for pair in sorted(self.overridden)],
        }


def used_in(file: Path) -> Used:
    """What a source file uses."""
    collector = _Collector()
    collector.visit(ast.parse(file.read_text(), str(file)))
    return collector.used


class _Collector(ast.NodeVisitor):
    def __init__(self) -> None:
        self.used = Used()
        self._scopes: list[dict[str, str]] = [{}]
        self._attributes: dict[str, str] = {}
        self._anonymous: set[int] = set()

    # ---- what names mean ----------------------------------------------------------------------------------------

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for inner in ast.walk(node):  # `self.x: tensorrt.Y` counts for the whole class
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Attribute):
                kind = _class_in(inner.annotation)
                if kind:
                    self._attributes[inner.target.attr] = kind
        for base in node.bases:
            name = self._module_path(base)
            if name:
                self.used.overridden |= {
                    (name, method.name)
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                    and not method.name.startswith("_")
                    and not any(isinstance(d, ast.Name) and d.id == "property" for d in method.decorator_list)
                }
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        known = {one.arg: kind for one in arguments if one.annotation and (kind := _class_in(one.annotation))}
        self._scopes.append(dict(self._scopes[-1]) | known)
        self.generic_visit(node)
        self._scopes.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        kind = _class_in(node.annotation)
        if kind and isinstance(node.target, ast.Name):
            self._scopes[-1][node.target.id] = kind
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.value, ast.Name) and isinstance(node.targets[0], ast.Name):
            kind = self._scopes[-1].get(node.value.id)
            if kind:
                self._scopes[-1][node.targets[0].id] = kind
        if isinstance(node.value, ast.Call):
            self._anonymous.add(id(node.value))
        self.generic_visit(node)

    # ---- what is done with them ---------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            owner = self._class_of(node.func.value)
            path = self._module_path(node.func)
            keywords = tuple(keyword.arg or "**" for keyword in node.keywords)
            shape = (len(node.args), keywords, id(node) in self._anonymous)
            if owner:
                self.used.calls.add(Call(owner, node.func.attr, *shape))
            elif path:
                self.used.calls.add(Call("", path, *shape))
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        path, owner = self._module_path(node), self._class_of(node.value)
        if path:
            self.used.names.add(path)
            return
        if owner:
            self.used.members.add((owner, node.attr))
        self.generic_visit(node)

    def _class_of(self, node: ast.expr) -> str:
        """The class of TensorRT that an expression is an object of; empty when it is none."""
        if isinstance(node, ast.Subscript):
            kind = self._known(node.value)
            return kind.removeprefix(CONTAINER) if kind.startswith(CONTAINER) else ""
        kind = self._known(node)
        return "" if kind.startswith(CONTAINER) else kind

    def _known(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self._scopes[-1].get(name, "")
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self._attributes.get(name, "")
        return ""

    def _module_path(self, node: ast.expr) -> str:
        """`A.B` of `trt.A.B`; empty when this is nothing of the module."""
        steps: list[str] = []
        while isinstance(node, ast.Attribute):
            if node.attr in MODULE_ATTRIBUTES:
                break
            steps.append(node.attr)
            node = node.value
        else:
            if not (isinstance(node, ast.Name) and node.id in MODULE_NAMES):
                return ""
        return ".".join(reversed(steps))


def _class_in(annotation: ast.expr) -> str:
    """The class of TensorRT that an annotation names, by itself or in a union; `[]` and the class for a container."""
    container = CONTAINER if isinstance(annotation, ast.Subscript) else ""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == ANNOTATION:
            return container + node.attr
    return ""
