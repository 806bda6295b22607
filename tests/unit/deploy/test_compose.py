from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import healthcheck
from config.commands import BUILT_IN_AGENTS, migrate
from config.settings import ApiOptions, known_names
from orchestrator.broker.options import BrokerOptions
from orchestrator.worker.command import load_agent
from orchestrator.worker.command import worker as worker_command
from orchestrator.worker.lifecycle import FINISH_SECONDS

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
WORKERS = sorted(name for name in SERVICES if name.startswith("worker-"))
LONG_LIVED = sorted(name for name in SERVICES if SERVICES[name]["restart"] == "unless-stopped")
DOCUMENTED_BY_IMAGES = {"POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"}
DOCUMENTED_BY_LIBRARIES = {"PGPASSWORD", "FLOWER_BASIC_AUTH"}
SECRET_WORDS = re.compile(r"password|secret|token|api_key|basic_auth", re.IGNORECASE)


def seconds(duration: str) -> float:
    count, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return float(count) * {"s": 1, "m": 60}[unit]


def entrypoint_names() -> set[str]:
    text = (ROOT / "config/docker-entrypoint.sh").read_text()
    names = re.search(r"for name in ([A-Z_ ]+); do", text)
    assert names
    return set(names[1].split())


def lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_file_is_what_the_compose_specification_allows() -> None:
    found = lint("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_yaml_files_are_tidy() -> None:
    found = lint("yamllint", "--strict", "-c", "config/yamllint.yml", "docker-compose.yml", "config")
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_whole_system_is_there() -> None:
    assert {"postgres", "redis", "migrate", "api", "controller", "worker-cost", "flower"} <= SERVICES.keys()
    assert SERVICES["controller"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_of_ours(name: str) -> None:
    environment = SERVICES[name]["environment"]
    from_files = {variable for variable in environment if variable.endswith("_FILE")}

    assert {variable.removesuffix("_FILE") for variable in from_files} <= entrypoint_names()
    assert environment.keys() - from_files <= known_names()


def test_the_entrypoint_fills_only_names_that_somebody_reads() -> None:
    assert entrypoint_names() - DOCUMENTED_BY_LIBRARIES <= known_names()


def test_the_other_images_are_given_only_what_they_document() -> None:
    for name in SERVICES.keys() - set(OURS):
        assert set(SERVICES[name].get("environment", {})) <= DOCUMENTED_BY_IMAGES


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_secret_comes_from_a_file(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        if SECRET_WORDS.search(variable):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in service["secrets"]
        assert not re.search(r"//[^/@]*:[^/@]*@", str(value)), f"{variable} holds a password"


def test_every_secret_has_a_file_and_is_made_by_the_script(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "config/make-secrets.sh", folder], check=True)

    assert {path.name for path in folder.iterdir()} == COMPOSE["secrets"].keys()
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"] == f"${{SECRETS:-./.secrets}}/{name}"


@pytest.mark.parametrize("name", WORKERS)
def test_an_agent_can_reach_redis_only(name: str) -> None:
    service = SERVICES[name]

    assert (
        not {"DATABASE_URL", "DATABASE_URL_FILE", "PGPASSWORD", "PGPASSWORD_FILE"}
        & service["environment"].keys()
    )
    assert service["secrets"] == ["redis_password"]
    assert service["networks"] == ["broker"]
    assert "ports" not in service
    assert "broker" not in SERVICES["postgres"]["networks"]


def test_there_is_a_worker_for_each_built_in_agent() -> None:
    assert sorted(SERVICES[name]["command"][2] for name in WORKERS) == sorted(BUILT_IN_AGENTS)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_names_an_agent_of_its_type(name: str) -> None:
    arguments = worker_command.make_context("worker", SERVICES[name]["command"][2:]).params
    agent = load_agent(arguments["target"])

    assert name == f"worker-{agent.agent_type}"
    assert SERVICES[name]["healthcheck"]["test"][-2:] == ["agent", agent.agent_type]
    assert arguments["name"] is None


@pytest.mark.parametrize("name", WORKERS)
def test_a_stopping_worker_has_time_for_its_longest_task(name: str) -> None:
    longest = ApiOptions().timeout_ceiling_seconds + BrokerOptions().hard_limit_grace_seconds + FINISH_SECONDS

    assert seconds(SERVICES[name]["stop_grace_period"]) >= longest


def test_a_stopping_api_has_time_for_its_requests() -> None:
    assert seconds(SERVICES["api"]["stop_grace_period"]) > ApiOptions().graceful_seconds


def test_the_commands_exist() -> None:
    commands = {found.name for found in entry_points(group="orchestrator.commands")}
    named = {
        service["command"][1]
        for name, service in SERVICES.items()
        if name not in WORKERS and service["command"][0] == "orchestrator"
    }

    assert named == {"api", "controller", "migrate"}
    assert named <= commands


@pytest.mark.parametrize("name", LONG_LIVED)
def test_what_stays_up_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]

    assert check["interval"]
    assert check["timeout"]
    assert check["start_period"]
    if name in OURS:
        assert check["test"][:5] == ["CMD", "python", "-I", "-m", "config.healthcheck"]
        assert check["test"][5] in healthcheck.main.commands


def test_the_first_key_comes_from_its_secret() -> None:
    arguments = SERVICES["migrate"]["command"][2:]

    assert migrate.make_context("migrate", arguments).params["admin_key_file"] == Path("/run/secrets/api_key")


def test_what_runs_once_is_waited_for() -> None:
    assert SERVICES.keys() - set(LONG_LIVED) == {"migrate"}
    for name in ("api", "controller"):
        assert "service_completed_successfully" in str(SERVICES[name]["depends_on"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_may_do_little_and_take_little(name: str) -> None:
    service = SERVICES[name]

    assert service["user"] not in ("", "0", "root", "0:0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["logging"]["options"]["max-size"]
    assert seconds(service["stop_grace_period"]) > 0


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", SERVICES[name]["image"])


def test_only_named_volumes_hold_state() -> None:
    for name in ("postgres", "redis"):
        volume, _, _ = SERVICES[name]["volumes"][0].partition(":")
        assert volume in COMPOSE["volumes"]


def test_published_ports_are_the_api_and_flower_behind_its_password() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"api", "flower"}
    assert "FLOWER_BASIC_AUTH_FILE" in SERVICES["flower"]["environment"]
    assert all(port.startswith(("127.0.0.1:", "${API_ADDRESS:-127.0.0.1:")) for name in ("api", "flower")
               for port in SERVICES[name]["ports"])  # fmt: skip
