from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.local.output import LINE_LIMIT_BYTES, PENDING_LIMIT_LINES, LineSplitter, LogFile, Terminal

if TYPE_CHECKING:
    from pathlib import Path


def test_stream_is_cut_into_lines_wherever_it_was_broken() -> None:
    lines = LineSplitter()

    assert lines.feed(b"one\ntw") == [b"one"]
    assert lines.feed(b"o\nthree") == [b"two"]
    assert lines.flush() == [b"three"]
    assert lines.flush() == []


def test_endless_line_is_cut_into_bounded_ones() -> None:
    lines = LineSplitter()

    found = lines.feed(b"x" * (3 * LINE_LIMIT_BYTES + 1))

    assert [len(line) for line in found] == [LINE_LIMIT_BYTES] * 3 + [1]
    assert lines.flush() == []


def test_log_file_keeps_two_generations_and_no_more(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "api.log", limit_bytes=1000)

    for number in range(1000):
        log.write(f"line {number}".encode())
    log.close()

    assert sorted(file.name for file in tmp_path.iterdir()) == ["api.log", "api.log.1"]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2200
    assert log.tail[-1] == "line 999"


def test_log_file_goes_on_after_what_it_has(tmp_path: Path) -> None:
    for text in (b"first", b"second"):
        log = LogFile(tmp_path / "api.log")
        log.write(text)
        log.close()

    assert (tmp_path / "api.log").read_bytes() == b"first\nsecond\n"


def test_terminal_that_is_not_read_drops_lines_and_says_how_many(tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    descriptor = os.open(shown, os.O_WRONLY | os.O_CREAT)
    terminal = Terminal(descriptor)
    for number in range(PENDING_LIMIT_LINES + 7):
        terminal.line("api", str(number).encode())

    terminal.write_some()
    terminal.line("api", b"later")
    while terminal.waiting:
        terminal.write_some()
    os.close(descriptor)

    assert shown.read_text().splitlines()[-2:] == [
        "… 7 lines were not shown; the log files have them",
        "api          | later",
    ]


def test_line_carries_the_name_of_its_process() -> None:
    reader, writer = os.pipe()
    terminal = Terminal(writer)

    terminal.line("cost-1", b"ready")
    terminal.flush()

    assert os.read(reader, 100) == b"cost-1       | ready\n"
    os.close(reader)
    os.close(writer)


def test_terminal_that_is_gone_is_not_written_to() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    terminal = Terminal(writer)

    terminal.line("api", b"anybody?")
    terminal.write_some()
    terminal.line("api", b"nobody")

    assert terminal.gone
    assert not terminal.waiting
    os.close(writer)
