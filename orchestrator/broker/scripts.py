"""The Lua scripts, loaded from their files, and one way to call them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from orchestrator.broker import keys
from orchestrator.broker.connection import RUN_ID
from orchestrator.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text with the common prelude, and its digest by which Redis knows it."""

    name: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a script. The epoch key and the server's run id come first by themselves."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | int | float]

    def command(self) -> list[Any]:
        """Return the Redis command of this call."""
        return [
            "EVALSHA", self.script.digest, len(self.keys) + 1, keys.EPOCH, *self.keys, RUN_ID, *self.arguments
        ]  # fmt: skip


@cache
def load(name: str) -> Script:
    """Return the script of this name."""
    folder = files("orchestrator.broker") / "scripts"
    text = (folder / "prelude.lua").read_text() + (folder / f"{name}.lua").read_text()
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def run(client: redis.Redis, call: Call) -> list[str]:
    """Call one script.

    Raises BrokerUnavailableError if Redis does not answer in time or refuses; whether the script ran is then
    unknown, and each of ours may be called again.
    """
    return run_all(client, [call])[0]


def run_all(client: redis.Redis, calls: Sequence[Call]) -> list[list[str]]:
    """Call many scripts in one round trip; the answers come in the order of the calls."""
    if not calls:
        return []
    answers = _send(client, calls)
    missing = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if missing:
        try:
            for script in {calls[i].script.name: calls[i].script for i in missing}.values():
                client.script_load(script.text)
        except RedisError as error:
            raise BrokerUnavailableError(f"Redis does not take scripts: {error}") from error
        for i, answer in zip(missing, _send(client, [calls[i] for i in missing]), strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise BrokerUnavailableError(f"Redis refused a script: {answer}") from answer
    return cast("list[list[str]]", answers)


def _send(client: Any, calls: Sequence[Call]) -> list[Any]:
    try:
        if len(calls) == 1:
            return [_send_one(client, calls[0])]
        with client.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.execute_command(*call.command())
            return cast("list[Any]", pipe.execute(raise_on_error=False))
    except (RedisConnectionError, RedisError, OSError) as error:
        raise BrokerUnavailableError(f"Redis does not answer: {error}") from error


def _send_one(client: Any, call: Call) -> Any:
    try:
        return client.execute_command(*call.command())
    except ResponseError as refusal:
        return refusal
