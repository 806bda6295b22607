from __future__ import annotations

import pytest

from orchestrator.errors import SettingsError
from orchestrator.ledger.engine import connect_arguments
from orchestrator.ledger.options import LedgerOptions


def _arguments(url: str, **options: float) -> dict[str, str]:
    return connect_arguments(LedgerOptions(database_url=url, **options), "name")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:p%40ss@/db?host=/run/pg",
        "postgresql+psycopg2://me:p%40ss@/db?host=/run/pg",
        "postgres://me:p%40ss@%2Frun%2Fpg/db",
        "host=/run/pg user=me password=p@ss dbname=db",
    ],
)
def test_every_way_to_name_a_socket_is_understood(url: str) -> None:
    arguments = _arguments(url)
    assert {name: arguments[name] for name in ("host", "user", "password", "dbname")} == {
        "host": "/run/pg",
        "user": "me",
        "password": "p@ss",
        "dbname": "db",
    }


def test_what_the_url_says_of_itself_is_kept() -> None:
    arguments = _arguments(
        "postgresql://h1:1,h2:2/db?sslmode=require&connect_timeout=7&options=-c%20jit%3Doff"
    )
    assert (arguments["host"], arguments["port"], arguments["sslmode"]) == ("h1,h2", "1,2", "require")
    assert arguments["connect_timeout"] == "7"
    assert arguments["options"].startswith("-c jit=off -c statement_timeout=1500")
    assert arguments["keepalives_idle"] == "5"


def test_the_bounds_of_the_session_follow_the_timeout() -> None:
    options = _arguments("postgresql://h/db", timeout_seconds=4.0)["options"].split(" -c ")
    assert {"statement_timeout=4000", "-c statement_timeout=4000"} & set(options)
    assert {"lock_timeout=2000", "idle_in_transaction_session_timeout=5000", "timezone=UTC"} <= set(options)


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cret@h/db?nonsense=1", "me:s3cret@h", "postgresql://[::1/s3cret"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        _arguments(url)
    assert "s3cret" not in str(refused.value)
