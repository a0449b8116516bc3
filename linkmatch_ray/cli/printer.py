"""What stands between the program and the terminal: of all that is printed, nothing but text and lines gets there.

Messages are made of words that went through `words.shown` already. This is for those that were forgotten, and for what
others print here: usage errors, tracebacks, logs of a job on a cluster.
"""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO, cast

import orjson

from linkmatch_ray.words import printable

_AS_JSON: Final = "linkmatch.as_json"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Printer:
    r"""A text stream that escapes what is not printable, and what the encoding of the stream behind it lacks.

    Both become `\uXXXX`, so that a JSON text is another one of the same value. Colours, which Ray gives to its messages
    and resets at the end, are left out. Bytes that are written to `buffer` stay as they are.

    Attributes:
        behind: The stream as it was, for what draws on a terminal.
        encoding: Any text can be written.
    """

    encoding = "utf-8"

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        encoding = self.behind.encoding or "utf-8"
        plain = printable(_COLOUR.sub("", text))
        self.behind.write(plain.encode(encoding, _AS_JSON).decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after another."""
        for line in lines:
            self.write(line)


def install() -> None:
    """Put a printer before standard output and standard error, for good: also errors that nobody caught are printed."""
    if sys.stdout is not None:
        sys.stdout = cast(TextIO, Printer(sys.stdout))
    if sys.stderr is not None:
        sys.stderr = cast(TextIO, Printer(sys.stderr))


def terminal() -> TextIO:
    """Standard error as it was, for what draws there."""
    return cast(TextIO, getattr(sys.stderr, "behind", sys.stderr))


def json_text(value: Any) -> str:
    """JSON for people and programs; also of a value with lone surrogates, as another program's answer may be."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, indent=2)


def _as_json(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_AS_JSON, _as_json)
