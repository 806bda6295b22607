"""The first admin key of an installation, kept in a file of its owner's and, hashed, in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import SettingsError
from orchestrator.ledger.engine import Ledger
from orchestrator.ledger.keys import ensure_key, new_key
from orchestrator.local.data_dir import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.ledger.options import LedgerOptions

NAME = "admin"
SECONDS = 10.0
MIN_CHARACTERS = 32


def ensure_admin_key(options: LedgerOptions, file: Path) -> None:
    """Make the key in the file valid; a missing or empty file gets a new one. Raises SettingsError."""
    try:
        key = file.read_text().strip() if file.exists() else ""
        if not key:
            key = new_key()
            write_private(file, key + "\n")
    except OSError as error:
        raise SettingsError(f"the admin key file {file} cannot be used: {error.strerror}") from error
    if len(key) < MIN_CHARACTERS:
        raise SettingsError(f"the admin key in {file} is shorter than {MIN_CHARACTERS} characters")
    ledger = Ledger(options, application_name="orchestrator-migrate")
    try:
        with ledger.transaction(SECONDS) as connection:
            ensure_key(connection, key=key, name=NAME, scopes=("admin",))
    finally:
        ledger.close()
