"""The summary that the demo prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from station.simulation.run.workspace import Workspace
from station.terminal import coloured, joined

REJECTS_SHOWN = 12


def print_summary(console: Console, report: Mapping[str, Any], workspace: Workspace) -> None:
    """Prints the figures of the report for people."""
    console.print(_verdicts(report))
    console.print(_figures(report))
    console.print(_rejects(report))
    for problem in report["problems"]:
        console.print(joined(coloured("wrong:", "bold red"), f" {problem}"))
    if not report["problems"]:
        console.print(
            coloured(
                "The ledger balances, every part has a verdict, and only parts with a PASS are in the good bin.",
                "green",
            )
        )
    console.print(
        f"report: {workspace.report}\nrejected parts: {workspace.contact_sheet}\n"
        f"look at every part in a browser: station hmi --config {workspace.configuration}",
        highlight=False,
        soft_wrap=True,
    )


def _verdicts(report: Mapping[str, Any]) -> Table:
    table = Table(title="verdict by truth (error: not inspected)")
    table.add_column("truth")
    names = ("pass", "review", "fail", "error")
    for name in names:
        table.add_column(name.upper(), justify="right")
    for kind, row in report["by_kind"].items():
        table.add_row(kind, *(str(row[name] or "-") for name in names))
    ledger = report["ledger"]
    table.add_section()
    table.add_row(f"all {ledger['triggers']}", *(str(ledger[name]) for name in names))
    return table


def _figures(report: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    latency, engine, overhead = report["latency_ms"], report["engine_ms"], report["overhead_ms"]
    confusion = report["confusion"]
    area = report["image_auroc"]
    table.add_row("engine", report["engine_id"][:12], _taught(report["teaching"]))
    table.add_row("runtime", report["runtime"]["ran"], report["runtime"]["why"])
    table.add_row("image AUROC", "-" if area is None else f"{area:.4f}", "scores of inspected parts against the truth")
    table.add_row("defective parts passed", str(confusion["defective_pass"]), "")
    table.add_row("good parts rejected", str(confusion["good_fail"] + confusion["good_review"]), "review or fail")
    if latency["p50"] is not None:
        table.add_row(
            "trigger to result",
            ", ".join(f"{name} {latency[name]:.1f}" for name in ("p50", "p95", "p99", "max")) + " ms",
            f"{report['engine_share']:.0%} of it is the engine",
        )
        table.add_row("engine call", f"p50 {engine['p50']:.1f}, p99 {engine['p99']:.1f} ms", "")
        table.add_row("all the rest", f"p50 {overhead['p50']:.1f}, p99 {overhead['p99']:.1f} ms", "")
    if challenge := report.get("challenge"):
        judged = ", ".join(f"{part['name']} {part['result'] or 'not inspected'}" for part in challenge["parts"])
        table.add_row(
            "challenge test", f"{challenge['state']}: {judged}", f"{challenge['recorded']} master parts, counted apart"
        )
    if recipes := report.get("recipes"):
        selected = ", ".join(map(str, recipes["selected_by_plc"]))
        table.add_row(
            "recipes",
            f"selected by the PLC: {selected}",
            f"{len(recipes['judged_as_another'])} parts judged as another",
        )
    if report["held_rate_per_s"] is not None:
        table.add_row("rate", f"{report['held_rate_per_s']:g} parts/s held", f"set to {report['rate_per_s']:g}")
    ejector = report["ejector_error_counts"]
    if ejector["mean"] is not None:
        table.add_row(
            "ejector",
            f"{ejector['mean'] / 10:.1f} mm from the middle of the part",
            f"worst {ejector['max'] / 10:.1f} mm",
        )
    for part_id, why in report["passed_but_ejected"].items():
        table.add_row("passed but pushed off", f"part {part_id}", why)
    return table


def _taught(teaching: Mapping[str, Any]) -> str:
    if not teaching:
        return ""
    if "seconds" not in teaching:  # an engine per product
        return "\n".join(f"{product}: {_taught(of_product)}" for product, of_product in teaching.items())
    removed = teaching.get("removed", ())
    text = f"taught in {teaching['seconds']:.0f} s; refinement removed {len(removed)} of {teaching['images']} images"
    hidden = teaching.get("hidden_defective_part_ids")
    if hidden:
        found = set(hidden) & set(teaching["removed_part_ids"])
        text += f", {len(found)} of the {len(hidden)} hidden defective ones among them"
    return text


def _rejects(report: Mapping[str, Any]) -> Table:
    rejected = [part for part in report["parts"] if part["bin"] == "reject"]
    title = f"{len(rejected)} parts pushed off"
    if len(rejected) > REJECTS_SHOWN:
        title += f", the first {REJECTS_SHOWN}"
    table = Table(title=title)
    for name in ("part", "truth", "verdict", "hit", "why"):
        table.add_column(name)
    for part in rejected[:REJECTS_SHOWN]:
        error = part["fired_error_counts"]
        hit = "" if error is None else f"{error / 10:+.1f} mm"
        why = part["reason"] or part["why_rejected"]
        table.add_row(str(part["part_id"]), part["truth"], part["verdict"] or "none", hit, why)
    return table
