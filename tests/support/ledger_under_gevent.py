"""A process on gevent that uses the ledger when it is told to, one line of JSON per round.

python -m tests.support.ledger_under_gevent URL CLIENTS     each line of its input names a round
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from contextlib import ExitStack  # noqa: E402

import gevent  # noqa: E402
from psycogreen.gevent import patch_psycopg  # noqa: E402
from sqlalchemy import text  # noqa: E402

from orchestrator.errors import OrchestratorError  # noqa: E402
from orchestrator.ledger.engine import Ledger  # noqa: E402
from orchestrator.ledger.options import LedgerOptions  # noqa: E402

TIMEOUT_SECONDS = 1.0
POOL_SIZE = 4
TICK_SECONDS = 0.01


def ask(ledger: Ledger) -> str:
    """Return what became of one small transaction."""
    try:
        with ledger.transaction() as connection:
            connection.execute(text("SELECT 1"))
    except OrchestratorError as error:
        return type(error).__name__
    return "ok"


def play(ledger: Ledger, clients: int) -> dict[str, object]:
    """Let clients ask at once; report answers, the longest wait, and how long no other greenlet could run."""
    began = time.monotonic()
    asking = [gevent.spawn(ask, ledger) for _ in range(clients)]
    longest_gap, last = 0.0, began
    while not all(greenlet.dead for greenlet in asking):
        gevent.sleep(TICK_SECONDS)
        now = time.monotonic()
        longest_gap, last = max(longest_gap, now - last), now
    answers = sorted({greenlet.value for greenlet in asking})
    return {"answers": answers, "seconds": time.monotonic() - began, "gap": longest_gap}


def hold_whole_pool(ledger: Ledger) -> str:
    """Return whether every slot of the pool can be had at once."""
    try:
        with ExitStack() as held:
            for _ in range(POOL_SIZE):
                held.enter_context(ledger.transaction()).execute(text("SELECT 1"))
    except OrchestratorError as error:
        return type(error).__name__
    return "ok"


def cut(ledger: Ledger) -> str:
    """Return what becomes of a block's own exception after the server has been frozen inside the block."""
    try:
        with ledger.transaction() as connection:
            connection.execute(text("SELECT 1"))
            print(json.dumps("inside"), flush=True)  # noqa: T201
            sys.stdin.readline()
            raise LookupError  # noqa: TRY301
    except (OrchestratorError, LookupError) as error:
        return type(error).__name__


def commit(ledger: Ledger) -> str:
    """Return what becomes of a transaction after the server has been frozen before its end."""
    try:
        with ledger.transaction() as connection:
            connection.execute(text("SELECT 1"))
            print(json.dumps("inside"), flush=True)  # noqa: T201
            sys.stdin.readline()
    except OrchestratorError as error:
        return type(error).__name__
    return "ok"


def main() -> None:
    url, clients = sys.argv[1], int(sys.argv[2])
    patch_psycopg()
    options = LedgerOptions(database_url=url, pool_size=POOL_SIZE, timeout_seconds=TIMEOUT_SECONDS)
    ledger = Ledger(options, application_name="test-gevent", deadline=gevent.Timeout)
    rounds = {"ask": lambda: play(ledger, clients), "hold": lambda: hold_whole_pool(ledger)}
    rounds |= {"cut": lambda: cut(ledger), "commit": lambda: commit(ledger)}
    while line := sys.stdin.readline():
        print(json.dumps(rounds[line.strip()]()), flush=True)  # noqa: T201
    ledger.close()


if __name__ == "__main__":
    main()
