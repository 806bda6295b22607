"""The Flask application, made of parts that are handed in."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

from flask import Flask, Response

from api import guard, problems
from api.agents import agent_routes, discovery_routes
from api.bodies import RequestParser
from api.health import health_routes
from api.json_provider import TextJsonProvider
from api.smorest import document
from api.tasks import task_routes

if TYPE_CHECKING:
    from api.parts import Parts

TITLE = "Agent orchestrator"
DISTRIBUTION = "agent-orchestrator"


def create_app(parts: Parts) -> Flask:
    """Return the application. It starts nothing."""
    app = Flask("api", static_folder=None)
    app.json = TextJsonProvider(app)
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = parts.limits.body_bytes
    problems.install(app)
    guard.install(app, parts.keys, request_seconds=parts.limits.request_seconds)
    parser = RequestParser(parts.body_deadline)
    groups = [build(parts, parser) for build in (task_routes, agent_routes, discovery_routes, health_routes)]
    _serve_document(app, json.dumps(document(app, groups, title=TITLE, version=version(DISTRIBUTION))))
    return app


def _serve_document(app: Flask, text: str) -> None:
    """Serve the OpenAPI document, made once."""

    def openapi() -> Response:
        return Response(text, mimetype="application/json")

    guard.require(openapi, None)
    app.add_url_rule("/openapi.json", view_func=openapi)
