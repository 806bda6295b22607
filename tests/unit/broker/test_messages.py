"""Our messages are what kombu and Celery expect, without asking them."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.app.amqp import AMQP
from kombu.transport.virtual import Channel as VirtualChannel
from kombu.transport.virtual import Message

from orchestrator.broker.messages import encode
from orchestrator.broker.options import BrokerOptions, with_redis_url
from orchestrator.environment import setting
from orchestrator.tasks.routing import Band, band_of, capability_queue, list_key
from orchestrator.worker.app import TRANSPORT_OPTIONS
from orchestrator.worker.transport import Channel, broker_url
from tests.support.worker import publishable

if TYPE_CHECKING:
    from orchestrator.tasks.state import Publishable


def written(item: Publishable) -> dict[str, Any]:
    return json.loads(encode(item, hard_limit_grace_seconds=2.5).text)


def test_the_lists_are_those_that_kombu_looks_into() -> None:
    channel = Channel.__new__(Channel)
    channel.sep, channel.priority_steps = TRANSPORT_OPTIONS["sep"], TRANSPORT_OPTIONS["priority_steps"]

    for priority in range(1, 16):
        item = publishable(priority=priority)
        queue = capability_queue(item.agent_type, item.task_type)
        message = written(item)
        kombus = channel._get_message_priority(message, reverse=False)
        assert channel._q_for_pri(queue, kombus) == list_key(queue, band_of(priority))
        assert encode(item, hard_limit_grace_seconds=1).list_name == list_key(queue, band_of(priority))
    assert [int(band) for band in Band] == channel.priority_steps


def test_the_headers_are_those_that_celery_writes_itself() -> None:
    app = Celery("x", set_as_current=False)
    celerys = AMQP(app).as_task_v2("id", "name", (), {}, time_limit=1, soft_time_limit=1)

    ours = written(publishable())["headers"]

    assert celerys.headers.keys() - ours.keys() <= {"stamped_headers", "stamps", "shadow"}
    assert ours["timelimit"] == [22.5, 20]


@pytest.mark.parametrize(
    ("pin", "queue"), [("require", "agent.probe-9"), ("prefer", "probe.echo"), (None, "agent.probe-9")]
)
def test_only_a_required_pin_keeps_a_task_from_the_other_agents(pin: str | None, queue: str) -> None:
    item = publishable(pinned_agent_id="probe-9", pin=pin)

    assert encode(item, hard_limit_grace_seconds=1).list_name.startswith(f"{queue}:")


def test_kombu_reads_the_message() -> None:
    item = publishable(
        parameters_json='{"a": 1}', metadata={"k": "v"}, request_id="r", delivery=3, log_lines=9
    )
    channel = VirtualChannel.__new__(VirtualChannel)

    message = Message(written(item), channel, accept=["application/json"])
    args, kwargs, embed = message.decode()

    assert (args, kwargs["parameters"]) == ([], {"a": 1})
    assert kwargs["envelope"] == {
        "v": 1,
        "attempt": 0,
        "retries": 0,
        "max_retries": 3,
        "timeout_seconds": 20,
        "log_lines": 9,
        "metadata": {"k": "v"},
        "request_id": "r",
    }
    assert embed == {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    assert message.headers["id"] == f"{item.id}.3"
    assert message.headers["root_id"] == str(item.id)


@pytest.mark.parametrize(
    "text", [r'{"nul":"\u0000"}', r'{"lone":"\ud800"}', '{"n":1.10,"big":1e400}', '{"ü":"😀"}', "{}"]
)
def test_parameters_stay_as_they_were_sent(text: str) -> None:
    body = b64decode(written(publishable(parameters_json=text))["body"]).decode()

    assert f'"parameters": {text}}}' in body


def test_the_password_is_no_part_of_the_repr() -> None:
    assert "secret" not in repr(BrokerOptions(redis_url="redis://:secret@host"))
    assert {item.name for item in fields(BrokerOptions) if "setting" not in item.metadata} == set()
    assert setting("A", "b")["setting"].name == "A"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"REDIS_ADDR": "host:7"}, "redis://host:7/0"),
        ({"REDIS_ADDR": "host:7", "REDIS_PASSWORD": "p@ss/1"}, "redis://:p%40ss%2F1@host:7/0"),
        ({"REDIS_ADDR": "host:7", "REDIS_URL": "redis://other"}, "redis://other"),
    ],
)
def test_redis_may_be_named_by_its_address(environ: dict[str, str], url: str) -> None:
    assert with_redis_url(environ)["REDIS_URL"] == url


def test_kombu_reaches_unix_sockets_by_its_own_kind_of_url() -> None:
    assert broker_url("redis://h/1") == "redis://h/1"
    assert broker_url("unix:///run/r.sock") == "orchestrator+socket:///run/r.sock?virtual_host=0"
    assert broker_url("unix://:p@/run/r.sock?db=3") == "orchestrator+socket://:p@/run/r.sock?virtual_host=3"
