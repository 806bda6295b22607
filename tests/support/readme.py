"""The examples of README.md: shell commands with their output, Python with what it shows."""

from __future__ import annotations

import doctest
import re
from dataclasses import dataclass
from typing import Any

MASKS = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "<time>"),
)
"""What differs from run to run: ids and times. Everything else of an output must be as it is shown."""
BLOCK = re.compile(r"^```(?P<language>console|pycon)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class ConsoleExample:
    """A shell command and what it printed, line by line, without spaces at the ends."""

    command: str
    output: str


def masked(text: str) -> str:
    """Return a text without what differs from run to run, nor spaces at the ends of its lines."""
    for pattern, mask in MASKS:
        text = pattern.sub(mask, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def blocks(text: str, language: str) -> list[str]:
    """Return the examples in one language."""
    return [found["text"] for found in BLOCK.finditer(text) if found["language"] == language]


def console_examples(block: str) -> list[ConsoleExample]:
    """Return the commands of a block: each begins with `$ ` and may go on after a backslash."""
    examples: list[ConsoleExample] = []
    command, output, continues = "", [], False
    for line in [*block.splitlines(), "$ "]:
        if continues:
            command += "\n" + line
        elif line.startswith("$ "):
            if command:
                examples.append(ConsoleExample(command, masked("\n".join(output))))
            command, output = line[2:], []
        else:
            output.append(line)
        continues = line.endswith("\\") and (continues or line.startswith("$ "))
    return examples


class MaskingChecker(doctest.OutputChecker):
    """Compares what Python shows with ids and times masked."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Return whether they are alike."""
        return super().check_output(masked(want) + "\n", masked(got) + "\n", optionflags)


def run_python(text: str) -> str:
    """Run one block of Python examples; return what went otherwise than shown, or an empty text."""
    example = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    runner = doctest.DocTestRunner(checker=MaskingChecker(), verbose=False)
    said: list[Any] = []
    runner.run(example, out=said.append)
    return "".join(said)
