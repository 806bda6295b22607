from __future__ import annotations

import re

import pytest

from config import gunicorn
from config.settings import known_names, load, settings_table
from config.up import stack_options
from orchestrator.errors import SettingsError
from orchestrator.local.errors import StackError

NEEDED = {"DATABASE_URL": "postgresql://orchestrator:secret@127.0.0.1/orchestrator"}


def test_defaults_are_those_of_the_table() -> None:
    settings = load(NEEDED)

    assert settings.api.port == 8080
    assert settings.broker.heartbeat_timeout_seconds == 10
    assert settings.controller.max_worker_losses == 3
    assert settings.agent.interval_seconds(settings.broker.heartbeat_timeout_seconds) == pytest.approx(10 / 3)


def test_secrets_are_in_no_text_of_the_settings() -> None:
    settings = load({**NEEDED, "REDIS_URL": "redis://:hush@127.0.0.1:6379/0"})

    assert "secret" not in repr(settings)
    assert "hush" not in repr(settings)


def test_redis_may_be_named_by_address_and_password() -> None:
    settings = load({**NEEDED, "REDIS_ADDR": "redis.example:6380", "REDIS_PASSWORD": "p/@ss"})

    assert settings.broker.redis_url == "redis://:p%2F%40ss@redis.example:6380/0"


def test_everything_wrong_is_said_at_once() -> None:
    wrong = {
        "PORT": "eighty",
        "ENVIRONMENT": "staging",
        "ORCHESTRATOR_API_WORKERS": "0",
        "HEARTBEAT_TIMEOUT": "nan",
        "ORCHESTRATOR_BODY_LIMT": "1",
        "ORCHESTRATOR_XYZZY": "1",
    }

    with pytest.raises(SettingsError) as refused:
        load(wrong)

    lines = str(refused.value).splitlines()
    assert lines[0] == "the settings are refused:"
    said = "\n".join(lines[1:])
    assert re.search(r"PORT: Not a valid integer", said)
    assert "ENVIRONMENT: 'staging' is none of development, test, production" in said
    assert "ORCHESTRATOR_API_WORKERS: 0 is out of range; 1 to 64" in said
    assert "HEARTBEAT_TIMEOUT: nan is out of range" in said or "HEARTBEAT_TIMEOUT: " in said
    assert "DATABASE_URL is missing" in said
    assert "ORCHESTRATOR_BODY_LIMT is not a setting; did you mean ORCHESTRATOR_BODY_LIMIT" in said
    assert "ORCHESTRATOR_XYZZY is not a setting" in said


def test_empty_text_means_not_given() -> None:
    assert load({**NEEDED, "PORT": ""}).api.port == 8080


def test_every_setting_has_a_name_of_ours_or_of_the_contract() -> None:
    contract = {
        *("PORT", "ENVIRONMENT", "HEARTBEAT_TIMEOUT", "HEARTBEAT_INTERVAL", "MAX_WORKER_LOSSES"),
        *("REDIS_URL", "REDIS_ADDR", "REDIS_PASSWORD", "DATABASE_URL"),
    }

    assert {name for name in known_names() if not name.startswith("ORCHESTRATOR_")} == contract
    assert all(row.meaning for row in settings_table())


def test_gunicorn_is_told_by_the_settings() -> None:
    settings = load(
        {**NEEDED, "PORT": "9000", "ORCHESTRATOR_HOST": "::1", "ORCHESTRATOR_GRACEFUL_TIMEOUT": "7"}
    )

    told = gunicorn.options(settings)

    assert told["bind"] == "[::1]:9000"
    assert told["workers"] == 2
    assert told["graceful_timeout"] == 7
    assert told["accesslog"] is None


class TestUp:
    @staticmethod
    def options(tmp_path: object, environ: dict[str, str], agents: str | None) -> object:
        return stack_options(
            environ,
            data_dir=tmp_path,  # type: ignore[arg-type]
            port=0,
            flower_port=None,
            agents=agents,
            built_in=("workers.cost:agent",),
            concurrency=2,
            samples=None,
        ).agents

    def test_built_in_agents_are_ours(self, tmp_path: object) -> None:
        (agent,) = self.options(tmp_path, {}, None)  # type: ignore[misc]

        assert (agent.target, agent.ours) == ("workers.cost:agent", True)

    def test_named_agents_replace_them(self, tmp_path: object) -> None:
        found = self.options(tmp_path, {}, "shop:agent")

        assert [(agent.target, agent.ours) for agent in found] == [("shop:agent", False)]  # type: ignore[attr-defined]

    def test_what_children_would_refuse_is_refused_first(self, tmp_path: object) -> None:
        with pytest.raises(SettingsError, match="ORCHESTRATOR_NOSUCH"):
            self.options(tmp_path, {"ORCHESTRATOR_NOSUCH": "1"}, None)
        with pytest.raises(StackError):
            self.options(tmp_path, {}, "shop")
