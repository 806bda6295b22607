"""The verdict as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections import Counter

    from rich.console import Console

    from tests.chaos.checker import Finding, Verdict


def show(console: Console, verdict: Verdict, answers: Counter[str]) -> None:
    """Print what was found, how the faults went, and what callers were answered."""
    console.print(_findings(verdict))
    console.print(_recoveries(verdict))
    console.print("answers: " + ", ".join(f"{count:,} {name}" for name, count in sorted(answers.items())))
    for finding in verdict.findings:
        if finding.violated:
            console.print(f"[red]{finding.what}[/red]: " + "; ".join(finding.cases))


def _findings(verdict: Verdict) -> Table:
    table = Table("", "found", "allowed")
    table.columns[1].justify = "right"
    for finding in verdict.findings:
        table.add_row(finding.what, f"{finding.count:,}", _limit(finding))
    return table


def _limit(finding: Finding) -> str:
    if finding.limit is None:
        return "reported"
    return f"[red]{finding.limit}[/red]" if finding.violated else f"[green]{finding.limit}[/green]"


def _recoveries(verdict: Verdict) -> Table:
    table = Table("fault", "struck", "while it held a task", "longest fault, s", "longest recovery, s")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in verdict.recoveries:
        longest = "-" if one.longest_seconds is None else f"{one.longest_seconds:.1f}".replace("inf", "never")
        table.add_row(
            one.fault, str(one.struck), str(one.while_holding), f"{one.longest_fault_seconds:.1f}", longest
        )
    return table
