from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from config import healthcheck
from config.admin_key import ensure_admin_key
from orchestrator.errors import LedgerUnavailableError
from orchestrator.intake.access import KeyRing, Scope, allows
from orchestrator.ledger.engine import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.ledger.options import LedgerOptions

KEY = "ork_01234567_" + "k" * 64


@contextmanager
def http_server(status: int) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_http_process_is_healthy_when_it_answers_200() -> None:
    with http_server(200) as url:
        healthcheck.check_url(url)


def test_an_http_process_is_unhealthy_when_it_answers_503_or_not_at_all() -> None:
    with http_server(503) as url, pytest.raises(healthcheck.UnhealthyError, match="503"):
        healthcheck.check_url(url)
    with pytest.raises(healthcheck.UnhealthyError, match="does not answer"):
        healthcheck.check_url(url)


def test_a_controller_is_healthy_while_it_speaks_to_the_ledger(ledger_options: LedgerOptions) -> None:
    environ = {"DATABASE_URL": ledger_options.database_url}
    with pytest.raises(healthcheck.UnhealthyError, match="no controller"):
        healthcheck.check_controller(environ)

    controller = Ledger(ledger_options, application_name="orchestrator-controller")
    try:
        controller.ping()
        healthcheck.check_controller(environ)
    finally:
        controller.close()


def test_a_controller_without_its_ledger_is_unhealthy() -> None:
    with pytest.raises(LedgerUnavailableError):
        healthcheck.check_controller({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})


def test_the_command_ends_with_1_and_says_why() -> None:
    found = subprocess.run(
        [sys.executable, "-I", "-m", "config.healthcheck", "agent", "cost"],
        env={"REDIS_ADDR": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 1
    assert found.stderr.startswith("unhealthy: Redis does not answer")


def test_the_check_of_an_agent_loads_no_database_driver() -> None:
    code = (
        "import sys; from config import healthcheck\n"
        "try: healthcheck.check_agent('cost', {'REDIS_ADDR': '127.0.0.1:1'})\n"
        "except Exception: print(sorted({'sqlalchemy', 'psycopg2'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_the_key_of_a_secret_file_that_is_read_only_may_do_everything(
    ledger: Ledger, ledger_options: LedgerOptions, tmp_path: Path
) -> None:
    file = tmp_path / "api_key"
    file.write_text(KEY)
    file.chmod(0o444)
    for _ in range(2):
        ensure_admin_key(ledger_options, file)

    key = KeyRing(ledger, timeout_seconds=1.0).find(KEY)
    assert key is not None
    assert all(allows(key, scope) for scope in Scope)
    assert file.read_text() == KEY
