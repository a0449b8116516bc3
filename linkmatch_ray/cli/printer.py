"""Everything that a command prints, as text or as JSON; and what stands between it and the terminal.

Nothing but text and lines gets to a terminal. Messages are made of words that went through `words.shown` already:
`Plain` is for those that were forgotten, and for what others print here: usage errors, tracebacks, logs of a job on a
cluster.
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
    """Prints what a command has to say: text for people, or with `--json` JSON for programs.

    Args:
        as_json: Print JSON.
        quiet: Print no text, JSON only.
        file: Where to; standard output if not given.
    """

    def __init__(self, as_json: bool = False, *, quiet: bool = False, file: TextIO | None = None) -> None:
        self.as_json, self._quiet, self._file = as_json, quiet, file

    def show(self, value: Any, lines: Iterable[str]) -> None:
        """Print a value: whole, as JSON; or the lines that say it."""
        if self.as_json:
            self._print([json_text(value)])
        elif not self._quiet:
            self._print(lines)

    def row(self, value: Any, line: str) -> None:
        """Print one of many values: as JSON Lines; or a line of text."""
        if self.as_json:
            self._print([json_text(value, indented=False)])
        elif not self._quiet:
            self._print([line])

    def _print(self, lines: Iterable[str]) -> None:
        file = self._file or sys.stdout  # as it is now
        file.writelines(f"{line}\n" for line in lines)
        file.flush()


class Plain:
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
    """Put a `Plain` before standard output and standard error, for good: also errors that nobody caught are printed."""
    if sys.stdout is not None:
        sys.stdout = cast(TextIO, Plain(sys.stdout))
    if sys.stderr is not None:
        sys.stderr = cast(TextIO, Plain(sys.stderr))


def terminal() -> TextIO:
    """Standard error as it was, for what draws there."""
    return cast(TextIO, getattr(sys.stderr, "behind", sys.stderr))


def json_text(value: Any, *, indented: bool = True) -> str:
    """JSON for people and programs; also of a value with lone surrogates, as another program's answer may be."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else None).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, indent=2 if indented else None)


def _as_json(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_AS_JSON, _as_json)
