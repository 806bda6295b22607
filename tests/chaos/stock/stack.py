"""Redis and three Celery workers of four children each, each worker's way to Redis through a proxy."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.stack import CHILDREN, START_SECONDS, WORKERS, Stack
from tests.chaos.stock.app import build
from tests.support.cluster import ROOT, Process
from tests.support.proxy import Loop, Proxy
from tests.support.redis import RedisServer
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from celery import Celery

CODE = "import sys; from tests.chaos.stock.app import build; build(sys.argv[1]).worker_main(sys.argv[2:])"


class StockStack(Stack):
    """What faults strike: of the suite's own stack it has the workers, Redis and the ways between them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.broken = folder, ""
        self.processes, self.links = {}, {}
        self.journal = folder / "journal"
        self.journal.mkdir()
        self.redis = RedisServer(Path(tempfile.mkdtemp(prefix="chaos-redis-")), durable=True)
        self._loop = Loop()

    def start(self) -> None:
        """Start everything and wait until every worker answers."""
        self.redis.start()
        for name in WORKERS:
            proxy = Proxy(self._loop, f"{name}→redis", self.redis.port)
            self.links[proxy.name] = proxy
            url = self.redis.url.replace(f":{self.redis.port}/", f":{proxy.port}/")
            options = ["worker", "-n", f"{name}@stock", "-c", str(CHILDREN), "--loglevel", "warning"]
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            self.processes[name] = Process(
                name, [sys.executable, "-c", CODE, url, *options], environ, self.folder
            )
            self.processes[name].start()
        app = self.app()
        wait_for(
            lambda: len(app.control.ping(timeout=1.0) or []) == len(WORKERS),
            within=START_SECONDS,
            what="workers",
        )

    def app(self) -> Celery:
        """Return the application as a client uses it, without a proxy in between."""
        return build(self.redis.url)

    def close(self) -> None:
        """Stop everything that was started here."""
        self.close_processes()
        self._loop.close()
        self.redis.stop()
        shutil.rmtree(self.redis.folder)
