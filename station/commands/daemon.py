"""`station run` and the commands that talk to a running station: status, online, offline, clear, reload."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Any

from station.commands.confirm import waits
from station.commands.options import RELOAD_TIMEOUT_S, add_config_option, add_json_option, ask, complain, print_json
from station.configuration.file import ConfigurationError
from station.control import ControlError
from station.reports.candidate.state_in_words import state_of
from station.terminal import coloured, console, joined, say

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_ONE_WORD = {
    "online": "take the station on line",
    "offline": "take the station off line: every part is Reject",
    "clear": "clear a fault after its cause has been fixed",
    "reload": "take up the changed configuration without a restart",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `run`, `status` and the one-word commands."""
    run_parser = commands.add_parser("run", help="run the station until it is stopped (SIGTERM)")
    add_config_option(run_parser)
    run_parser.set_defaults(run=run)
    status_parser = commands.add_parser("status", help="show the state of a running station")
    add_config_option(status_parser)
    add_json_option(status_parser, "state, online, ready, offline_reason, error, warnings, cameras, counters, and more")
    status_parser.set_defaults(run=status)
    watching = commands.add_parser(
        "monitoring", help="watching for drift: show what is normal and what has changed, learn again"
    )
    watching.add_argument("action", nargs="?", choices=("show", "learn"), default="show",
                          help="learn: what comes from now on is normal, as after a new lamp")  # fmt: skip
    watching.add_argument("--why", metavar="TEXT", help="learn: what was changed; it stands in the audit log")
    add_json_option(watching, "state, learned, drift, standing, left_out, streams")
    add_config_option(watching)
    watching.set_defaults(run=monitoring)
    for command, text in _ONE_WORD.items():
        parser = commands.add_parser(command, help=text)
        add_config_option(parser)
        add_json_option(
            parser, "command, checksum, recipe; with two people: command, waiting" if command == "reload" else "command"
        )
        parser.set_defaults(run=send)


def run(options: argparse.Namespace) -> int:
    """The daemon. The other commands of this module do without it, so only this one imports it."""
    _import_structlog_alone()
    from station.configuration import load as config  # noqa: PLC0415
    from station.daemon import daemon, logs  # noqa: PLC0415

    try:
        configuration = config.load(options.config)
        logs.configure(configuration.settings.log.format, configuration.settings.log.level)
        return daemon.run(configuration)
    except daemon.BAD_INPUT as problem:
        return complain(problem)
    finally:
        logs.close()
        # All is stopped, and the exit code is known: a second SIGTERM, while Python takes itself apart, must not make a
        # death by a signal of it. Python puts back every handler but this one.
        if getattr(options, "is_own_process", False):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def _import_structlog_alone() -> None:
    """structlog takes rich along where it finds it, for tracebacks in colour: a fifth of what the daemon imports."""
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import structlog  # noqa: F401, PLC0415
    finally:
        del sys.modules["rich"]


def send(options: argparse.Namespace) -> int:
    """One of the one-word commands."""
    try:
        reply = ask(options.config, {"command": options.command}, RELOAD_TIMEOUT_S)
    except (ConfigurationError, ControlError) as problem:
        return complain(problem)
    if options.json:
        print_json({"command": options.command, **{name: value for name, value in reply.items() if name != "ok"}})
    elif "waiting" in reply:
        say(waits(reply["waiting"]))
    return 0


def status(options: argparse.Namespace) -> int:
    """The state of the station as a table, or as JSON."""
    try:
        state = ask(options.config, {"command": "status"})["status"]
    except (ConfigurationError, ControlError) as problem:
        return complain(problem)
    if options.json:
        print_json(state)
    else:
        console().print(status_table(state))
    return 0


def ago(seconds: float | None) -> str:
    """`, 5 min ago`; empty where it is not known."""
    if seconds is None:
        return ""
    return ", just now" if seconds < 60 else f", {seconds / 60:.0f} min ago"


def monitoring(options: argparse.Namespace) -> int:
    """What is normal, what has changed; or what comes from now on is normal."""
    learns = options.action == "learn"
    if learns and not (options.why or "").strip():
        return complain("--why TEXT is missing: what was changed, so that what comes now is normal")
    try:
        if learns:
            ask(options.config, {"command": "monitoring", "action": "learn", "why": options.why})
        state = ask(options.config, {"command": "status"})["status"]["monitoring"]
    except (ConfigurationError, ControlError) as problem:
        return complain(problem)
    if options.json:
        print_json(state)
    else:
        console().print(monitoring_table(state))
    return 0


def monitoring_table(state: dict[str, Any]) -> Table:
    """What `station monitoring` shows."""
    from station.reports.tables import table  # noqa: PLC0415

    rows = [
        (
            stream["name"],
            coloured("changed", "yellow") if stream["changed"] else _learned(stream["learned"]),
            stream["detail"],
        )
        for stream in state.get("streams", [])
    ]
    return table(f"monitoring: {monitoring_text(state)}", [("stream", False), ("", False), ("", False)], rows)


def _learned(share: float) -> str:
    return "ok" if share >= 1 else f"learning {share:.0%}"


def monitoring_text(state: dict[str, Any]) -> str:
    """How it stands, in a line."""
    if state["state"] == "learning":
        return f"learning, {state['learned']:.0%}"
    return "; ".join([state["state"], *state.get("standing", [])])


def challenge_text(challenge: dict[str, Any]) -> Text:
    """How the challenge test stands, in a line."""
    match challenge["state"]:
        case "running":
            confirm = ", then: station challenge confirm" if challenge["awaits_confirmation"] else ""
            part = f"{challenge['step']}. {challenge['next_part']}"
            return joined(f"test {challenge['last_test']} runs; put on next: {part}{confirm}")
        case "failed":
            failed = coloured(f"test {challenge['last_test']} failed", "red")
            return joined(failed, f": {challenge['last_detail']}")
        case "due":
            return coloured("overdue", "red") if challenge["overdue"] else coloured("due", "yellow")
    return joined("passed")


def plan_text(plan: dict[str, Any]) -> Text:
    """Where the building of the TensorRT plan stands, in a line."""
    if plan["phase"] == "building":
        return joined(coloured("being built", "yellow"), f": {plan['step']} {plan['done']}/{plan['total']}")
    return joined(coloured("none", "red") if plan["phase"] == "failed" else "built", f": {plan['detail']}")


def state_text(state: dict[str, Any]) -> Text:
    """Whether the next part is taken, and if not why; in a line. One word for one thing: `ready` is TriggerReady."""
    if state["ready"]:
        return joined(coloured("ready", "green"), " for the next part")
    if waits_for := state["waits_for"]:
        return joined("on line, ", coloured("not ready", "yellow"), f": {waits_for}")
    if state["online"]:
        return joined(coloured("takes no part now", "yellow"), f": {state['offline_reason']}; those in flight finish")
    return joined(coloured("off line", "red"), f": {state['offline_reason']}")


def _add_what_runs_beside(table: Table, state: dict[str, Any]) -> None:
    """Challenge test and shadow, where there are any."""
    if (shadow := state.get("shadow")) is not None and shadow["state"] != "off":
        table.add_row("shadow", state_of(shadow))
    if waiting := (state.get("second_person") or {}).get("waiting"):
        table.add_row("second person", f"requests that wait for one: {len(waiting)}; look at them: station confirm")
    challenge = state["challenge"]
    if challenge["state"] != "none":
        table.add_row("challenge test", challenge_text(challenge))


def status_table(state: dict[str, Any]) -> Table:
    """What `station status` shows."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(show_header=False, title="station")
    counters = state["counters"]
    table.add_row("state", state_text(state))
    if not state["ready"] and state["offline_action"]:
        table.add_row("what to do", state["offline_action"])
    table.add_row("the PLC reads", f"state {state['state']} (OPC 40100-1), TriggerReady {int(state['ready'])}")
    if state["error"]:
        table.add_row("fault", joined(coloured(state["error"], "red"), f"\n{state['error_action']}"))
    for warning in state["warnings"]:
        table.add_row("warning", coloured(warning, "yellow"))
    for name, camera in state["cameras"].items():
        table.add_row(f"camera {name}", f"{camera['state']} {camera['detail']}".strip())
    records = state["records"]
    if records["detail"] or records["lost"] or records["replaced"]:
        detail = records["detail"] or "written again"
        table.add_row(
            "records", joined(coloured(detail, "yellow"), f"; {records['waiting']} wait, {records['lost']} lost")
        )
    table.add_row("engine", state["engine_id"][:12] or "none")
    if state["runtime"]:
        table.add_row("runtime", state["runtime"])
    if (warm := state.get("warm")) and (warm["engines"] or warm["problem"]):
        table.add_row("warm", warm["problem"] or ", ".join(engine_id[:12] for engine_id in warm["engines"]))
    if state["plan"]["phase"] != "idle":
        table.add_row("TensorRT plan", plan_text(state["plan"]))
    table.add_row(
        "recipe", f"{state['recipe']}, number {state['recipe_number']} {state['recipe_checksum'][:8]}".rstrip()
    )
    if state["refused"]:
        table.add_row("refused", joined(coloured(state["refused"], "yellow"), ago(state["refused_ago_s"])))
    table.add_row(
        "parts",
        f"{counters['triggers']} triggers = {counters['passed']} pass + {counters['failed']} fail"
        f" + {counters['review']} review + {counters['error']} error + {state['in_flight']} in flight;"
        f" {counters['missed']} missed",
    )
    if "monitoring" in state:
        table.add_row("monitoring", monitoring_text(state["monitoring"]))
    _add_what_runs_beside(table, state)
    teaching = state["teaching"]
    if teaching["phase"] != "idle":
        table.add_row("teaching", f"{teaching['phase']} {teaching['done']}/{teaching['total']} {teaching['detail']}")
    for part in state["recent"][-5:]:
        score = "" if part["score"] is None else f" score {part['score']:.3f}"
        table.add_row(
            f"part {part['part_id'] or part['acquisition_id']}",
            f"{part['verdict']}{score} {part['latency_ms']:.1f} ms {part['reason']}",
        )
    return table
