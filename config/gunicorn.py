"""The HTTP server: gunicorn around the application in `api`, with our settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gunicorn.app.base import Application
from gunicorn.util import import_app

if TYPE_CHECKING:
    from config.settings import Settings

APPLICATION = "api.wsgi:build()"
HOOKS = "python:api.gunicorn"
"""The application and gunicorn's hooks for it are named and not imported: imports run one way."""
SILENCE_SECONDS = 30
"""A worker that shows no sign of life for so long is killed."""
BACKLOG = 1024
REQUEST_LINE_BYTES, HEADERS, HEADER_BYTES = 8190, 100, 8190


class Server(Application):  # type: ignore[misc]
    """gunicorn, told by our settings and not by its command line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Take the hooks of the application, then our settings."""
        self.load_config_from_module_name_or_filename(HOOKS)
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application; called in each worker."""
        return import_app(APPLICATION)


def options(settings: Settings) -> dict[str, Any]:
    """Return gunicorn's settings."""
    api = settings.api
    host = f"[{api.host}]" if ":" in api.host else api.host
    return {
        "bind": f"{host}:{api.port}",
        "workers": api.workers,
        "worker_connections": api.worker_connections,
        "backlog": BACKLOG,
        "timeout": SILENCE_SECONDS,
        "graceful_timeout": api.graceful_seconds,
        "limit_request_line": REQUEST_LINE_BYTES,
        "limit_request_fields": HEADERS,
        "limit_request_field_size": HEADER_BYTES,
        "accesslog": None,
        "errorlog": "-",
        "loglevel": settings.log.level,
        "proc_name": "orchestrator-api",
        "worker_tmp_dir": None,
    }
