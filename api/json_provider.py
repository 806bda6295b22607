"""JSON out: stored JSON goes out as the text it is, without being read again."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from flask.json.provider import JSONProvider

from orchestrator.intake.json_text import JsonText


class TextJsonProvider(JSONProvider):
    """Writes compact ASCII JSON, members in their given order, and JsonText as it stands.

    A JsonText is first written as a placeholder that nobody outside this process can know, then exchanged.
    """

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self._nonce = secrets.token_hex(16)
        self._placeholder = re.compile(f'"{self._nonce}:([0-9]+)"')

    def dumps(self, obj: Any, **_: Any) -> str:
        """Return the JSON of `obj`. Raises ValueError for a number that is not finite."""
        texts: list[str] = []

        def place(item: object) -> str:
            if not isinstance(item, JsonText):
                raise TypeError(f"{type(item).__name__} is no JSON value")
            texts.append(item.text)
            return f"{self._nonce}:{len(texts) - 1}"

        written = json.dumps(obj, default=place, allow_nan=False, separators=(",", ":"))
        return self._placeholder.sub(lambda match: texts[int(match[1])], written) if texts else written

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text."""
        return json.loads(s, **kwargs)
