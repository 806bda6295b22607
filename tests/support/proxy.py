"""A TCP proxy between a part and a server, to delay, cut and half-open what passes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
CHUNK_BYTES = 65_536
START_SECONDS = 10.0


class Mode(Enum):
    """What becomes of the bytes."""

    PASS = "pass"
    DELAY = "delay"
    CUT = "cut"
    """Connections are reset, and new ones too."""
    HALF_OPEN = "half_open"
    """Connections stay and new ones are accepted, but nothing arrives in either direction."""


class Loop:
    """The thread that serves all proxies of a test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    def close(self) -> None:
        """End the thread and whatever still runs in it."""
        self.call(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    @staticmethod
    async def _cancel_all() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Proxy:
    """One way to one server on a loopback port of its own."""

    def __init__(self, loop: Loop, name: str, target_port: int) -> None:
        self.name = name
        self.target_port = target_port
        self._loop = loop
        self._mode = Mode.PASS
        self._delay_seconds = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = loop.call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = int(self._server.sockets[0].getsockname()[1])

    def set(self, mode: Mode, delay_seconds: float = 0.0) -> None:
        """Change what becomes of present and future connections; `delay_seconds` is per chunk and direction.

        Connections that were half-open are reset when the mode changes: their bytes are lost.
        """
        self._loop.call(self._set(mode, delay_seconds))

    def close(self) -> None:
        """Stop serving and reset every connection."""
        self._loop.call(self._close())

    async def _set(self, mode: Mode, delay_seconds: float) -> None:
        reset = mode is Mode.CUT or self._mode is Mode.HALF_OPEN
        self._mode, self._delay_seconds = mode, delay_seconds
        if reset:
            self._reset()
        if mode is Mode.HALF_OPEN:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _close(self) -> None:
        self._server.close()
        self._mode = Mode.CUT
        self._flowing.set()
        self._reset()

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            if self._mode is Mode.CUT:
                return
            back, there = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._open.add(there)
            ways = [asyncio.ensure_future(self._pump(*way)) for way in ((reader, there), (back, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, there):
                if end is not None:
                    self._open.discard(end)
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                if self._mode is Mode.DELAY:
                    await asyncio.sleep(self._delay_seconds)
                writer.write(data)
                await writer.drain()
