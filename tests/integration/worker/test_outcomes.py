"""Whatever a handler does, one outcome is reported, and the agent lives on. One worker serves this module."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.broker import keys
from orchestrator.broker.messages import encode
from orchestrator.tasks.ids import celery_id
from tests.support.waiting import wait_for
from tests.support.worker import is_running, publishable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.worker import Stage


def test_parameters_arrive_as_they_were_sent(shared: Stage) -> None:
    text = r'{"nul":"a\u0000b","lone":"\ud800","face":"😀","tiny":1e-320,"big":1234567890123456789012,"x":{}}'
    item = publishable(parameters_json=text, metadata={"who": "Zoë"}, attempt=2, request_id="r-1")
    shared.broker.publish([item])

    end = shared.wait_end(item)

    assert end["e"] == "completed"
    assert end["p"]["result"]["parameters"] == json.loads(text)
    assert end["p"]["result"]["metadata"] == {"who": "Zoë"}
    assert end["p"]["result"]["attempt"] == 3
    assert end["p"]["ms"] >= 0
    assert "dropped_log_lines" not in end["p"]
    assert shared.kinds(item) == ["queued", "running", "completed"]
    running = shared.events(item)[1]
    assert running["p"]["pid"] == end["p"]["result"]["pid"]
    assert running["a"] == "probe-1"


def test_what_a_handler_raises_beside_exceptions_fails_its_task(shared: Stage) -> None:
    """asyncio.CancelledError is no Exception; the child that got one lives on, and must not hold the task."""
    end = shared.wait_end(shared.submit("fail", {"kind": "cancelled"}))

    assert (end["e"], end["p"]["code"], end["p"]["retryable"]) == ("failed", "handler_error", True)
    assert end["p"]["error"].startswith("the handler raised CancelledError")
    assert shared.wait_end(shared.submit("echo"))["e"] == "completed"


@pytest.mark.parametrize("priority", [1, 5, 10, 15])
def test_every_band_and_the_private_queue_are_served(shared: Stage, priority: int) -> None:
    common = shared.submit("echo", priority=priority)
    pinned = shared.submit("echo", priority=priority, pinned_agent_id="probe-1")

    assert shared.wait_end(common)["e"] == "completed"
    assert shared.wait_end(pinned)["e"] == "completed"


def test_parameters_pass_the_schema(shared: Stage) -> None:
    good, bad = shared.submit("sum", {"left": 2}), shared.submit("sum", {"left": "two"})

    assert shared.wait_end(good)["p"]["result"] == 3
    refused = shared.wait_end(bad)
    assert refused["e"] == "failed"
    assert refused["p"]["code"] == "invalid_parameters"
    assert refused["p"]["retryable"] is False
    assert "left" in refused["p"]["error"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ValueError", {"code": "handler_error", "retryable": True, "error_type": "ValueError"}),
        ("ZeroDivisionError", {"code": "handler_error", "retryable": False, "error": "by zero"}),
        ("permanent", {"code": "permanent", "retryable": False, "error": "never"}),
        ("later", {"code": "retry_later", "retryable": True, "retry_after": 7}),
        ("unspeakable", {"code": "handler_error", "error_type": "UnspeakableError"}),
        ("unpicklable", {"code": "handler_error", "error_type": "UnpicklableError"}),
    ],
)
@pytest.mark.parametrize("retries_left", [True, False])
def test_what_a_handler_raises_is_reported(
    shared: Stage, kind: str, expected: dict[str, Any], *, retries_left: bool
) -> None:
    item = shared.submit("fail", {"kind": kind}, max_retries=int(retries_left))

    end = shared.wait_end(item)

    assert end["e"] == "failed"
    assert expected.items() <= end["p"].items()
    assert "Traceback" in end["p"]["traceback"]
    assert len(end["p"]["error"]) <= 8192


def test_a_handler_that_exits_has_failed(shared: Stage) -> None:
    for code in (0, 3, "enough"):
        end = shared.wait_end(shared.submit("leave", {"code": code}))

        assert end["e"] == "failed"
        assert end["p"]["error"] == f"the handler called sys.exit({code})"
        assert end["p"]["retryable"]


@pytest.mark.parametrize("kind", ["object", "nan", "set", "bytes"])
def test_a_result_that_is_no_json_is_a_failure(shared: Stage, kind: str) -> None:
    end = shared.wait_end(shared.submit("strange_result", {"kind": kind}))

    assert end["e"] == "failed"
    assert (end["p"]["code"], end["p"]["retryable"]) == ("result_not_json", False)


@pytest.mark.parametrize(
    ("kind", "value"), [("surrogate", "\ud800"), ("nul", "\x00"), ("nothing", None), ("exact", 10**30)]
)
def test_a_strange_result_that_is_json_is_kept(shared: Stage, kind: str, value: Any) -> None:
    end = shared.wait_end(shared.submit("strange_result", {"kind": kind}))

    assert (end["e"], end["p"]["result"]) == ("completed", value)


def test_a_result_is_kept_up_to_the_limit(shared: Stage) -> None:
    fits = shared.submit("strange_result", {"kind": "huge", "size": 2046})
    huge = shared.submit("strange_result", {"kind": "huge", "size": 2047})

    assert shared.wait_end(fits)["e"] == "completed"
    end = shared.wait_end(huge)
    assert (end["e"], end["p"]["code"]) == ("failed", "result_too_large")
    assert "2,049 bytes" in end["p"]["error"]
    assert "2,048 (ORCHESTRATOR_RESULT_LIMIT)" in end["p"]["error"]


@pytest.mark.parametrize("task_type", ["die", "crash"])
def test_a_dead_child_is_reported_within_a_second(shared: Stage, tmp_path: Path, task_type: str) -> None:
    parameters = {"pid_path": str(tmp_path / "pid")} if task_type == "die" else {}
    item = shared.submit(task_type, parameters)
    shared.wait_event(item, "running")

    end = shared.wait_end(item, within=5)

    assert end["e"] == "lost"
    assert end["p"]["reason"] == "child_died"
    assert int(end["t"]) - int(shared.events(item)[1]["t"]) < 1_500
    if parameters:
        pid = int((tmp_path / "pid").read_text())
        wait_for(lambda: not is_running(pid), within=2, what="the end of the dead child's subprocess")
    assert shared.wait_end(shared.submit("echo"))["e"] == "completed"


def test_the_soft_limit_is_a_timeout(shared: Stage) -> None:
    end = shared.wait_end(shared.submit("sleep", {"seconds": 60}, timeout_seconds=1))

    assert end["e"] == "timeout"
    assert (end["p"]["code"], end["p"]["retryable"]) == ("soft_time_limit", True)
    assert end["p"]["error"] == "the time limit of 1 s was reached"
    assert 900 <= end["p"]["ms"] < 2_500


def test_the_soft_limit_can_be_caught(shared: Stage) -> None:
    end = shared.wait_end(shared.submit("graceful", timeout_seconds=1))

    assert (end["e"], end["p"]["result"]) == ("completed", "saved what was done")


def test_the_hard_limit_kills_the_handler_and_what_it_started(shared: Stage, tmp_path: Path) -> None:
    item = shared.submit("stubborn", {"pid_path": str(tmp_path / "pid")}, timeout_seconds=1)

    end = shared.wait_end(item, within=10)

    assert end["e"] == "timeout"
    assert end["p"]["code"] == "hard_time_limit"
    running = shared.events(item)[1]
    assert not is_running(running["p"]["pid"])
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_running(pid), within=2, what="the end of the handler's subprocess")
    assert shared.wait_end(shared.submit("echo"))["e"] == "completed"


def test_a_cancelled_run_ends_within_two_seconds(shared: Stage, tmp_path: Path) -> None:
    item = shared.submit("stubborn", {"pid_path": str(tmp_path / "pid")}, timeout_seconds=60)
    pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    started = time.monotonic()

    assert shared.broker.cancel(str(item.id), 1).outcome == "MARKED"
    end = shared.wait_end(item, within=5)

    assert time.monotonic() - started < 2
    assert (end["e"], end["k"]) == ("cancelled", shared.events(item)[1]["k"])
    wait_for(lambda: not is_running(pid), within=2, what="the end of the handler's subprocess")


def test_only_the_cancelled_one_of_two_ends(shared: Stage, tmp_path: Path) -> None:
    kept, cancelled = (shared.submit("until_file", {"path": str(tmp_path / "go")}) for _ in range(2))
    for item in (kept, cancelled):
        shared.wait_event(item, "running")

    shared.broker.cancel(str(cancelled.id), 1)

    assert shared.wait_end(cancelled, within=5)["e"] == "cancelled"
    (tmp_path / "go").touch()
    assert shared.wait_end(kept)["e"] == "completed"


def test_progress_and_lines_come_while_the_handler_runs(shared: Stage, tmp_path: Path) -> None:
    go = tmp_path / "go"
    item = shared.submit("chatter", {"lines": 3, "path": str(go)})

    assert shared.wait_event(item, "progress")["p"] == {"fraction": 0.5, "message": "half"}
    lines = [
        line["m"] for event in shared.events(item) if event["e"] == "log" for line in event["p"]["lines"]
    ]
    assert lines == ["line 0", "line 1", "line 2"]
    go.touch()
    assert shared.wait_end(item)["e"] == "completed"


def test_a_task_keeps_a_thousand_lines_and_counts_the_rest(shared: Stage) -> None:
    item = shared.submit("chatter", {"lines": 700}, log_lines=400)

    end = shared.wait_end(item)

    told = [line for event in shared.events(item) for line in event["p"].get("lines", [])]
    assert [line["m"] for line in told] == [f"line {number}" for number in range(600)]
    assert end["p"]["dropped_log_lines"] == 100


def test_a_message_for_a_task_type_that_is_not_here_is_a_recorded_failure(shared: Stage) -> None:
    end = shared.wait_end(shared.submit("forgotten", pinned_agent_id="probe-1"))

    assert end["e"] == "failed"
    assert (end["p"]["code"], end["p"]["retryable"]) == ("unknown_task_type", False)
    assert "'probe.forgotten'" in end["p"]["error"]


@pytest.mark.parametrize(
    "body",
    [
        "this is no JSON",
        "5",
        "null",
        '"text"',
        "[]",
        "[[], {}, {}]",
        "[[], [], {}]",
        '[[], {"envelope": {}, "parameters": {}}, {}]',
        '[[], {"envelope": {"v": 99}, "parameters": {}}, {}]',
        '[[], {"envelope": 7, "parameters": {}}, {}]',
        '{"args": 1}',
        "\ud800",
    ],
)
def test_a_message_that_cannot_be_read_is_a_recorded_failure(shared: Stage, body: str) -> None:
    item = publishable()
    damage(shared, item, body=b64encode(body.encode("utf-8", "surrogatepass")).decode())

    end = shared.wait_end(item, within=5)

    assert end["e"] == "failed"
    assert (end["p"]["code"], end["p"]["retryable"]) == ("unreadable_message", False)
    assert shared.workers[0].process.poll() is None


@pytest.mark.parametrize(
    "entry",
    [
        "no JSON at all",
        "5",
        "[]",
        "{}",
        '{"body": "%%%", "properties": {"body_encoding": "base64"}}',
        "\udcff",
    ],
)
def test_an_entry_that_is_no_message_does_not_end_the_worker(shared: Stage, entry: str) -> None:
    shared.client.lpush("probe.echo", entry.encode("utf-8", "surrogateescape"))

    assert shared.wait_end(shared.submit("echo"))["e"] == "completed"
    assert shared.workers[0].process.poll() is None


@pytest.mark.parametrize("headers", [None, [], {"task": "probe.echo"}, {"task": ["x"], "id": 5}, {"id": {}}])
def test_strange_headers_do_not_end_the_worker(shared: Stage, headers: Any) -> None:
    damage(shared, publishable(), headers=headers)

    assert shared.wait_end(shared.submit("echo"))["e"] == "completed"
    assert shared.workers[0].process.poll() is None


def test_a_delivery_that_was_taken_back_is_not_run(shared: Stage) -> None:
    item = publishable()
    damage(shared, item)
    other = shared.submit("echo")
    shared.wait_end(other)
    stale = publishable(delivery=3)
    shared.broker.publish([stale])
    shared.wait_end(stale)

    requeue(shared, stale, delivery=2)

    shared.wait_end(shared.submit("echo"))
    assert shared.kinds(stale) == ["queued", "running", "completed"]


def damage(stage: Stage, item: Any, **changes: Any) -> None:
    """Publish, with something of the message replaced before a worker sees it."""
    message = {**json.loads(encode(item, hard_limit_grace_seconds=1).text), **changes}
    stage.client.hset(
        keys.task_key(str(item.id)), mapping={"d": item.delivery, "s": "queued", "q": "probe.echo:2"}
    )
    stage.client.lpush("probe.echo:2", json.dumps(message))


def requeue(stage: Stage, item: Any, *, delivery: int) -> None:
    """Put a message of another delivery on the list, as a late publisher would have."""
    text = encode(replace(item, delivery=delivery), hard_limit_grace_seconds=1).text
    assert celery_id(str(item.id), delivery) in text
    stage.client.lpush("probe.echo:2", text)
