"""`python -m tests.chaos`: a run with a printed seed, and a verdict as the exit status."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console

from tests.chaos.faults import BY_NAME, FAULTS
from tests.chaos.report import show
from tests.chaos.runner import Plan, run
from tests.chaos.trials import TRIALS


@click.command()
@click.option("--tasks", default=10_000, show_default=True, help="Tasks to submit.")
@click.option("--faults", default=105, show_default=True, help="Faults to strike with.")
@click.option("--seed", type=int, help="Repeats the order of faults and tasks of an earlier run.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(sorted(BY_NAME)), help="Only faults of this kind."
)
@click.option("--broken", "build", type=click.Choice(sorted(TRIALS)), help="A build without one rule.")
@click.option("--all-broken", is_flag=True, help="Try every broken build; each must be convicted.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep logs and journals here.")
def main(
    *, tasks: int, faults: int, seed: int | None, kinds: tuple[str, ...], build: str | None, all_broken: bool,
    keep: Path | None,
) -> None:  # fmt: skip
    """Submit tasks while faults strike, and judge what became of them."""
    console = Console(width=110, highlight=False)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    if all_broken or build:
        names = sorted(TRIALS) if all_broken else [str(build)]
        acquitted = [name for name in names if not _convicts(console, name, seed, keep)]
        sys.exit(bool(acquitted))
    chosen = [BY_NAME[name] for name in kinds] or FAULTS
    sys.exit(bool(_run(console, Plan(tasks, faults, seed, kinds=chosen), keep)))


def _convicts(console: Console, name: str, seed: int, keep: Path | None) -> bool:
    trial = TRIALS[name]
    console.rule(f"{name}: {trial.without}")
    found = _run(console, trial.plan(name, seed), keep)
    convicted = bool(found & set(trial.convicted_of))
    console.print(
        f"{name}: {'convicted' if convicted else 'NOT convicted'} ({', '.join(sorted(found)) or '-'})"
    )
    return convicted


def _run(console: Console, plan: Plan, keep: Path | None) -> set[str]:
    """Run a plan, print what was found, and return the names of the violations."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = Path(tempfile.mkdtemp(prefix=f"seed-{plan.seed}-", dir=keep)) if keep else Path(scratch)
        outcome = run(plan, folder, lambda line: console.print(line, markup=False))
    console.print(f"seed {plan.seed}, {outcome.seconds:.0f} s")
    show(console, outcome.verdict, outcome.evidence.answers)
    return {finding.what for finding in outcome.verdict.violations}


if __name__ == "__main__":
    main()
