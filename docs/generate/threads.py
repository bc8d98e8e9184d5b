"""The threads of the daemon and what goes from one to the other: drawn from the stages' own source.

It reads each `station/line/*/stage.py` (the name of its thread, its queue and the messages that it takes) and the ports
through which signalling sends what it decides. The places of the boxes are fixed here; a message or a port without a
place is an error.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from docs.generate.source import ROOT, file_of, imported_from, purpose, tree
from docs.generate.svg import Svg

LINE = "station.line"
PORTS = {
    "inspect": "inspection",
    "record": "recording",
    "event": "recording",
    "journal_opened": "recording",
    "journal_decided": "recording",
    "acknowledged": "recording",
    "tracking": "ejection",
    "fire_camera": "acquisition",
    "publish": "plc",
    "command": "daemon",
    "batch": "recording",
}
"""Where each field of `Ports` leads."""
WIDTH, HEIGHT, EDGE = 1120, 716, 20
TOP, BOX = 190, 114
ROWS = {"acquisition": TOP, "inspection": TOP, "plc": 328, "ejection": 328, "daemon": 466, "recording": 466}
"""Upper edges of the boxes."""
LEFT, MIDDLE, RIGHT = (36, 262), (474, 180), (824, 260)
"""Left edge and width of the three columns."""
STEP = 14


@dataclass(frozen=True, slots=True)
class Stage:
    """What the source of a stage says about its thread."""

    room: str
    thread: str
    queue: str
    """The class of its queue; empty when it has none."""
    takes: tuple[str, ...]
    """Classes of its messages, without private ones."""


def stages() -> dict[str, Stage]:
    """Every stage of the line, by its room."""
    folder = file_of(LINE).parent
    return {path.parent.name: _stage(path) for path in sorted(folder.glob("*/stage.py"))}


def senders(names: tuple[str, ...], file: Path) -> dict[str, list[str]]:
    """Messages of signalling by who posts them: the stage whose room defines them, the PLC link, or the daemon."""
    found: dict[str, list[str]] = {}
    imported = imported_from(file)
    for name in names:
        module = imported.get(name, "")
        stage = next((room for room in ("acquisition", "inspection", "ejection") if f"{LINE}.{room}" in module), "")
        by_plc = name == "PlcWrote" or module.startswith("drivers.plc")
        found.setdefault(stage or ("plc" if by_plc else "daemon"), []).append(name)
    return found


def ports() -> dict[str, list[str]]:
    """The fields of `Ports` by where they lead. Raises KeyError for one that has no place in the picture."""
    found: dict[str, list[str]] = {}
    for node in tree(file_of(f"{LINE}.signalling.ports")).body:
        if isinstance(node, ast.ClassDef) and node.name == "Ports":
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    if line.target.id not in PORTS:
                        raise KeyError(f"Ports.{line.target.id} leads nowhere; say where in {__name__}.PORTS")
                    found.setdefault(PORTS[line.target.id], []).append(line.target.id)
    return found


def past_signalling(room: str) -> list[str]:
    """What cameras and PLC link hand to a stage directly, by the routing of the daemon."""
    if room == "ejection":
        return [
            node.func.attr
            for node in ast.walk(tree(file_of("station.daemon.routing")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "ejection"
        ]
    (connect,) = (
        node
        for node in ast.walk(tree(file_of("station.daemon.routing")))
        if isinstance(node, ast.FunctionDef) and node.name == "connect"
    )
    return [argument.arg for argument in connect.args.args if argument.arg == "begin"]


def other_threads() -> list[tuple[str, str]]:
    """Name and file of every thread of the station that is no stage of the line."""
    found = []
    for folder in ("daemon", "jobs"):
        for path in sorted((*(ROOT / "station" / folder).glob("*.py"), *(ROOT / "station" / folder).glob("plc/*.py"))):
            within = path.relative_to(ROOT / "station")
            found += [(name, str(within)) for name in _threads(path)]
    return [*((name, "control.py") for name in _threads(file_of("station.control"))), *found]


def threads() -> Svg:
    """The whole picture."""
    found, sent = stages(), ports()
    svg = Svg(WIDTH, HEIGHT, "The threads of the daemon and their queues")
    svg.text(EDGE, 32, "Threads and queues", size=18, style="name")
    svg.text(WIDTH - EDGE, 32, "each thread owns its state; nothing is shared but queues", style="muted", anchor="end")
    svg.box(EDGE, 150, WIDTH - 2 * EDGE, HEIGHT - 150 - EDGE, "free")
    svg.text(WIDTH - 36, 174, "the daemon: one process", style="muted", anchor="end")
    _camera_process(svg)
    x, width = MIDDLE
    svg.box(x, TOP, width, ROWS["recording"] + BOX - TOP + 70, "violet")
    _inside(svg, x, TOP, width, stage=found["signalling"], most=6)
    for number, name in enumerate(_pieces()):
        svg.text(x + 12, TOP + 145 + 15 * number, name, size=11, style="code")
    for room, (x, width) in {"acquisition": LEFT, "inspection": RIGHT, "ejection": RIGHT, "recording": RIGHT}.items():
        svg.box(x, ROWS[room], width, BOX + (70 if room == "recording" else 0), "green")
        _inside(svg, x, ROWS[room], width, stage=found[room], most=2)
    _names(svg, RIGHT[0] + 12, ROWS["recording"] + 100, list(found["recording"].takes))
    beside = ["begin", "(from", "cameras)"] if past_signalling("inspection") else []
    _names(svg, RIGHT[0] + 12, ROWS["inspection"] + 96, beside)
    _names(svg, RIGHT[0] + 12, ROWS["ejection"] + 94, past_signalling("ejection"))
    _plc_and_daemon(svg)
    messages = senders(found["signalling"].takes, file_of(f"{LINE}.signalling.messages"))
    for room in ("acquisition", "plc", "daemon"):
        _between(svg, LEFT[0] + LEFT[1], MIDDLE[0], ROWS[room], right=messages.pop(room, []), left=sent.pop(room, []))
    for room in ("inspection", "ejection", "recording"):
        _between(
            svg, MIDDLE[0] + MIDDLE[1], RIGHT[0], ROWS[room], right=sent.pop(room, []), left=messages.pop(room, [])
        )
    if sent or messages:
        raise KeyError(f"without a place in the picture: {sent} {messages}")
    return svg


def _pieces() -> list[str]:
    """The files of the signalling room: what its one thread works with."""
    folder = file_of(f"{LINE}.signalling").parent
    return [path.stem for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "stage")]


def _camera_process(svg: Svg) -> None:
    x, width = LEFT
    svg.box(x, 52, width, 70, "sand")
    svg.text(x + 12, 75, "camera process", size=14, style="name")
    svg.text(x + width - 12, 75, "one a camera", size=11, style="muted", anchor="end")
    svg.lines(x + 12, 93, width - 20, purpose(f"{LINE}.acquisition.process"), size=11)
    svg.arrow((x + 60, 122), (x + 60, TOP))
    svg.text(x + 70, 142, "frame ring in shared memory, one socket", size=11, style="muted")


def _plc_and_daemon(svg: Svg) -> None:
    x, width = LEFT
    svg.box(x, ROWS["plc"], width, BOX, "sand")
    svg.text(x + 12, ROWS["plc"] + 23, "PLC link", size=14, style="name")
    svg.text(x + width - 12, ROWS["plc"] + 23, "drivers/plc", size=11, style="muted", anchor="end")
    svg.lines(x + 12, ROWS["plc"] + 42, width - 20, purpose("drivers.plc"), size=11, most=3)
    svg.box(x, ROWS["daemon"], width, BOX + 98, "grey")
    svg.text(x + 12, ROWS["daemon"] + 23, "daemon and its doors", size=14, style="name")
    names = ", ".join(f"{name} ({file.removesuffix('.py')})" for name, file in other_threads())
    svg.lines(x + 12, ROWS["daemon"] + 42, width - 20, f"Threads: {names}", size=10, most=13)


def _inside(svg: Svg, x: float, y: float, width: float, *, stage: Stage, most: int) -> None:
    """Name, queue and purpose of a thread in its box."""
    svg.text(x + 12, y + 23, stage.thread, size=14, style="name")
    if stage.queue:
        bounded = "bounded queue" if stage.queue == "Queue" else "inbox"
        svg.text(x + 12, y + 41, bounded, size=11, style="muted code")
    text = purpose(f"{LINE}.{stage.room}")
    svg.lines(x + 12, y + (60 if stage.queue else 42), width - 20, text, size=11, most=most + (not stage.queue))


def _between(svg: Svg, x0: float, x1: float, y: float, *, right: list[str], left: list[str]) -> None:
    """An arrow to the right with its names above, then one to the left; many names stand side by side."""
    at = y + 2
    for names, start, end in ((right, x0, x1), (left, x1, x0)):
        if not names:
            continue
        for line in _beside(names, x1 - x0):
            at += STEP
            svg.text((x0 + x1) / 2, at, line, size=10, style="code", anchor="middle")
        at += 8
        svg.arrow((start, at), (end, at))
        at += 4


def _names(svg: Svg, x: float, y: float, names: list[str]) -> None:
    """Names of classes in lines."""
    for number, line in enumerate(_beside(names, RIGHT[1])):
        svg.text(x, y + STEP * number, line, size=10, style="code")


def _beside(names: list[str], width: float) -> list[str]:
    """Names in lines that fit into `width`."""
    lines: list[str] = []
    for name in names:
        joined = f"{lines[-1]} {name}" if lines else name
        if lines and len(joined) * 6.2 < width - 8:
            lines[-1] = joined
        else:
            lines.append(name)
    return lines


def _stage(path: Path) -> Stage:
    (thread,) = _threads(path)
    for node in ast.walk(tree(path)):
        if (isinstance(node, ast.AnnAssign) and "inbox" in (text := ast.unparse(node))) or (
            isinstance(node, ast.AnnAssign) and "self._queue" in (text := ast.unparse(node))
        ):
            kind, _, argument = text.split(": ", 1)[1].split(" =")[0].removesuffix("]").partition("[")
            return Stage(path.parent.name, thread, kind.removeprefix("queue."), _members(argument, path))
    return Stage(path.parent.name, thread, "", ())


def _threads(path: Path) -> list[str]:
    """Names of the threads that a file starts; what is put into a name stands in capitals."""
    return [
        _name(keyword.value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Thread")
        for keyword in node.keywords
        if keyword.arg == "name"
    ]


def _name(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else ast.unparse(part)[1:-1].upper().strip("{}")
                for part in values
            )
    return ast.unparse(value)


def _members(names: str, path: Path) -> tuple[str, ...]:
    """The classes of a union, private ones left out; aliases of this file or of the one imported are opened up."""
    found: list[str] = []
    for name in (part.strip() for part in names.split("|")):
        source = path
        if (module := imported_from(path).get(name)) is not None and module.startswith("station."):
            source = file_of(module)
        alias = next((ast.unparse(node.value) for node in tree(source).body
                      if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name), None)  # fmt: skip
        if alias is not None:
            found += _members(alias, source)
        elif name != "None" and not name.startswith("_"):
            found.append(name)
    return tuple(dict.fromkeys(found))
