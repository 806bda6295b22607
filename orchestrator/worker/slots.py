"""What this agent's processes have in hand, in memory that they share.

A pool child writes a slot before it claims a task and frees it after its outcome is accepted. The main
process reads them for its heartbeats, dooms a run that must stop, and frees what a dead child left. Celery's
own bookkeeping cannot serve: it may be empty while a child still runs.

Every field has one writer at a time: the child from FREE until it frees or spools; the main process after the
child is dead or has spooled. A doom names the token that it is meant for, so it can never hit the next run of
that child.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import tempfile
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

SLOTS_PER_CHILD = 4
"""A child whose outcomes cannot be sent yet goes on with its next slot."""
_HEADER = struct.Struct("=dd")
_SLOT = struct.Struct("=BBBxIIId36s24s24s")
_SLOT_BYTES = 128
_STATE_OFFSET = 0
_DOOM_OFFSET = 1
_DOOM_TOKEN_OFFSET = _SLOT.size - 24


class SlotState(IntEnum):
    """Where the run of a slot is."""

    FREE = 0
    CLAIMING = 1
    HELD = 2
    SPOOLED = 3


class Doom(IntEnum):
    """Why a run is stopped from outside."""

    NONE = 0
    HARD_TIME_LIMIT = 1
    CANCELLED = 2
    LOST = 3
    """Redis says that the run is not ours any more."""
    ABANDONED = 4
    """An exclusive run whose agent could not beat in time."""
    STOPPED = 5
    """Somebody told the process to end; said by the child itself."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One run in hand, as read at one moment."""

    index: int
    state: SlotState
    doom: Doom
    exclusive: bool
    pid: int
    delivery: int
    spool_bytes: int
    hard_deadline: float
    """CLOCK_BOOTTIME seconds after which the run must be dead."""
    task_id: str
    token: str
    doom_token: str

    @property
    def doomed(self) -> Doom:
        """Why this very run was stopped, or NONE."""
        return self.doom if self.doom_token == self.token else Doom.NONE


class SlotTable:
    """The slots of one agent; made in the main process before it forks its pool."""

    def __init__(self, children: int) -> None:
        self.size = children * SLOTS_PER_CHILD
        self._memory = mmap.mmap(-1, _HEADER.size + self.size * _SLOT_BYTES)
        self._spools: list[IO[bytes]] = [tempfile.TemporaryFile() for _ in range(self.size)]  # noqa: SIM115 - live as long as the process

    @property
    def lease_until(self) -> float:
        """CLOCK_BOOTTIME seconds until which this agent may believe itself alive in the controller's eyes."""
        return float(_HEADER.unpack_from(self._memory, 0)[0])

    @lease_until.setter
    def lease_until(self, until: float) -> None:
        _HEADER.pack_into(self._memory, 0, until, 0.0)

    def begin(
        self,
        child: int,
        *,
        pid: int,
        task_id: str,
        delivery: int,
        token: str,
        exclusive: bool,
        hard_deadline: float,
    ) -> int | None:
        """Enter a run that is about to be claimed; None if all slots of this child hold unsent outcomes."""
        first = child * SLOTS_PER_CHILD
        for index in range(first, min(first + SLOTS_PER_CHILD, self.size)):
            if self._state(index) is SlotState.FREE:
                values = (
                    int(exclusive),
                    pid,
                    delivery,
                    0,
                    hard_deadline,
                    task_id.encode(),
                    token.encode(),
                    b"",
                )
                _SLOT.pack_into(self._memory, self._at(index), SlotState.FREE, Doom.NONE, *values)
                self._set_state(index, SlotState.CLAIMING)
                return index
        return None

    def claimed(self, index: int) -> None:
        """Note that the claim was granted."""
        self._set_state(index, SlotState.HELD)

    def free(self, index: int) -> None:
        """Let a slot go whose outcome is accepted, refused, or was never ours."""
        self._set_state(index, SlotState.FREE)

    def spool(self, index: int, report: bytes) -> None:
        """Hand the outcome over to the main process, which sends it when Redis is back."""
        slot = self.read(index)
        written = os.pwrite(self._spools[index].fileno(), report, 0)
        if written < len(report):
            raise OSError(errno.ENOSPC, "the outcome does not fit into the temporary folder")
        values = (int(slot.exclusive), slot.pid, slot.delivery, len(report), slot.hard_deadline)
        texts = (slot.task_id.encode(), slot.token.encode(), slot.doom_token.encode())
        _SLOT.pack_into(self._memory, self._at(index), SlotState.HELD, slot.doom, *values, *texts)
        self._set_state(index, SlotState.SPOOLED)

    def read_spool(self, slot: Slot) -> bytes:
        """Return the outcome that a child handed over."""
        return os.pread(self._spools[slot.index].fileno(), slot.spool_bytes, 0)

    def doom(self, slot: Slot, why: Doom) -> None:
        """Tell the child of this run to stop it, and why. The first reason stays."""
        current = self.read(slot.index)
        if current.token != slot.token or current.doomed is not Doom.NONE:
            return
        at = self._at(slot.index)
        self._memory[at + _DOOM_OFFSET] = why
        self._memory[at + _DOOM_TOKEN_OFFSET : at + _SLOT.size] = slot.token.encode().ljust(24, b"\0")

    def read(self, index: int) -> Slot:
        """Return one slot as it is now."""
        state, doom, exclusive, pid, delivery, spool_bytes, deadline, task_id, token, doom_token = (
            _SLOT.unpack_from(self._memory, self._at(index))
        )
        return Slot(
            index=index,
            state=SlotState(state),
            doom=Doom(doom),
            exclusive=bool(exclusive),
            pid=pid,
            delivery=delivery,
            spool_bytes=spool_bytes,
            hard_deadline=deadline,
            task_id=_text(task_id),
            token=_text(token),
            doom_token=_text(doom_token),
        )

    def in_use(self) -> list[Slot]:
        """Return every slot that holds a run or an unsent outcome."""
        return list(self._each_in_use())

    def close(self) -> None:
        """Let memory and files go."""
        self._memory.close()
        for spool in self._spools:
            spool.close()

    def _each_in_use(self) -> Iterator[Slot]:
        for index in range(self.size):
            if self._state(index) is not SlotState.FREE:
                slot = self.read(index)
                if slot.state is not SlotState.FREE:
                    yield slot

    def _at(self, index: int) -> int:
        return _HEADER.size + index * _SLOT_BYTES

    def _state(self, index: int) -> SlotState:
        return SlotState(self._memory[self._at(index) + _STATE_OFFSET])

    def _set_state(self, index: int, state: SlotState) -> None:
        self._memory[self._at(index) + _STATE_OFFSET] = state


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()
