"""The output of a command, as text or as JSON, and the filter between it and the terminal.

A terminal gets nothing but text and line breaks. The words in messages went through `words.shown` already. `Plain`
filters the rest: words that were forgotten, usage errors, tracebacks, the log of a job on a cluster.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO, cast

import orjson

from linkmatch_ray.words import printable

_AS_JSON: Final = "linkmatch.as_json"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Printer:
    """The printer of a command's results: as text for people, or with `--json` as JSON for programs.

    Args:
        as_json: Print JSON.
        quiet: Print no text, only JSON.
        file: The stream; None for standard output.
    """

    def __init__(self, as_json: bool = False, *, quiet: bool = False, file: TextIO | None = None) -> None:
        self.as_json, self._quiet, self._file = as_json, quiet, file

    def show(self, value: Any, lines: Iterable[str]) -> None:
        """Prints a value as one JSON document, or as the lines that describe it. It is the last that a command prints:
        if nobody reads it, the exit code still says what the command found."""
        try:
            if self.as_json:
                self._print([json_text(value)])
            elif not self._quiet:
                self._print(lines)
        except BrokenPipeError:
            silence_stdout()

    def row(self, value: Any, line: str) -> None:
        """Prints one of many values as a line: of JSON, or of text."""
        if self.as_json:
            self._print([json_text(value, indented=False)])
        elif not self._quiet:
            self._print([line])

    def _print(self, lines: Iterable[str]) -> None:
        file = self._file or sys.stdout  # looked up here, because `install` replaces it
        file.writelines(f"{line}\n" for line in lines)
        file.flush()


class Plain:
    r"""A text stream that escapes characters that are not printable or that the stream behind it cannot encode.

    Both become `\uXXXX`, so the value of a JSON text does not change. Colours, which Ray puts around its messages, are
    left out. Bytes written to `buffer` do not change.

    Attributes:
        behind: The original stream, for what draws on a terminal.
        encoding: UTF-8, because any text can be written.
    """

    encoding = "utf-8"

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def write(self, text: str) -> int:
        """Writes a text, and returns its length."""
        encoding = self.behind.encoding or "utf-8"
        plain = printable(_COLOUR.sub("", text))
        self.behind.write(plain.encode(encoding, _AS_JSON).decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)


def install() -> None:
    """Puts a `Plain` before standard output and standard error. It stays, for errors that nobody catches."""
    if sys.stdout is not None:
        sys.stdout = cast(TextIO, Plain(sys.stdout))
    if sys.stderr is not None:
        sys.stderr = cast(TextIO, Plain(sys.stderr))


def silence_stdout() -> None:
    """Discards further standard output, so that the interpreter does not fail at exit when it flushes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def terminal() -> TextIO:
    """Returns the original standard error, for what draws on the terminal."""
    return cast(TextIO, getattr(sys.stderr, "behind", sys.stderr))


def json_text(value: Any, *, indented: bool = True) -> str:
    """Returns a value as JSON. It may have lone surrogates, as answers of other programs do."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else None).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value, indent=2 if indented else None)


def _as_json(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_AS_JSON, _as_json)
