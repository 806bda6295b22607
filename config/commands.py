"""The servers' commands: each reads the settings once and hands every part its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.logging import configure
from config.settings import load

if TYPE_CHECKING:
    from config.settings import Settings

BUILT_IN_AGENTS = (
    "workers.cost:agent",
    "workers.resource:agent",
    "workers.performance:agent",
    "workers.application:agent",
)
DEFAULT_DATA_DIR = Path(".orchestrator")
SAMPLES = Path("examples")


def _settings(service: str) -> Settings:
    settings = load(os.environ)
    configure(settings.log, service=service)
    return settings


@click.command()
def api() -> None:
    """Serve the HTTP API on PORT."""
    from config.gunicorn import Server  # noqa: PLC0415 - only this command serves HTTP

    Server(_settings("api")).run()


@click.command()
def controller() -> None:
    """Run a controller: one leads, any number stand by."""
    from orchestrator.controller.service import run  # noqa: PLC0415 - only this command needs it

    settings = _settings("controller")
    run(settings.ledger, settings.broker, settings.controller)


@click.command()
@click.option(
    "--admin-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make the admin key in this file valid; a missing file is made, with a new key.",
)
def migrate(admin_key_file: Path | None) -> None:
    """Bring the ledger's schema to this program's version."""
    from config.admin_key import ensure_admin_key  # noqa: PLC0415 - only this command needs them
    from orchestrator.ledger.migrate import migrate as migrate_ledger  # noqa: PLC0415

    settings = _settings("migrate")
    click.echo(f"the ledger is at revision {migrate_ledger(settings.ledger)}")
    if admin_key_file is not None:
        ensure_admin_key(settings.ledger, admin_key_file)


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA_DIR,
    show_default=True,
    help="Folder for everything that it keeps.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The API's port."
)
@click.option(
    "--flower-port", type=click.IntRange(0, 65535), default=5555, show_default=True, help="Flower's port."
)
@click.option("--no-flower", is_flag=True, help="Run without Flower.")
@click.option("--agents", metavar="MODULE:ATTRIBUTE,…", help="Agents to run instead of the built-in ones.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=2,
    show_default=True,
    help="Tasks that each agent runs at a time.",
)
@click.option("--samples", is_flag=True, help=f"Run one sample task of every type in {SAMPLES}/.")
def up(
    *,
    data_dir: Path,
    port: int,
    flower_port: int,
    no_flower: bool,
    agents: str | None,
    concurrency: int,
    samples: bool,
) -> None:
    """Run the whole system here, in one terminal; for development.

    A port of 0 is any free one. How it is reached is in DATA_DIR/connection.json while it runs.
    """
    from config.up import stack_options  # noqa: PLC0415 - only this command runs servers
    from orchestrator.local.stack import run  # noqa: PLC0415

    run(
        stack_options(
            os.environ,
            data_dir=data_dir,
            port=port,
            flower_port=None if no_flower else flower_port,
            agents=agents,
            built_in=BUILT_IN_AGENTS,
            concurrency=concurrency,
            samples=SAMPLES if samples else None,
        ),
        os.environ,
    )
