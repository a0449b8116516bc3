r"""Words from outside, made printable: names of files and members, keys, URLs, messages of other programs.

The name of a file may hold characters that a terminal obeys. They can repaint the screen, forge a line, or reverse the
direction of writing. So every word from outside goes through `shown` before it is part of a message. A character that
is not printable becomes its JSON escape (`\u001b`), a byte that is not UTF-8 becomes `\xff`. Letters of all scripts
stay.

Imports only the standard library, because the helper on a cluster's nodes uses it as well.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Final
from unicodedata import category

SHOWN_MAX: Final = 1000
"""Maximum length of one word, in characters; the rest is cut. The longest paths in use have a quarter of this."""

_HARMLESS: Final = ("Zs", "Co")
"""Categories that stay, though Python calls them not printable: spaces such as U+3000, and characters for private
use."""

SECRET_PARAMETERS: Final = (
    r"X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|Signature|AWSAccessKeyId"
    r"|GoogleAccessId|sig|(?:[\w-]*[_-])?(?:token|secret|password|passwd|api[_-]?key)"
)
"""Names of secrets in signed URLs, as a regular expression for any case."""

_A_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FROM_SCHEME: Final = r"(?<=[A-Za-z0-9+.-])://"  # a search for whole schemes takes quadratic time in a long word
_IN_A_WORD: Final = re.compile(rf"(?s){_FROM_SCHEME}.*")  # as in --address=URL
_URLS: Final = re.compile(rf"{_FROM_SCHEME}[^\s\"']*")
_USER: Final = re.compile(r"(?s)(?<=://)(?:[^][/@:]*:(?![0-9]{1,5}(?:[/?#]|$)).*|[^/?#]*)(?:@|%40)")
"""The part before the host. A password may contain any character, even one that ends a host."""

_PARAMETER: Final = re.compile(rf"(?i)([?&#](?:{SECRET_PARAMETERS})=)[^&#]*")

_UNDECODED: Final = range(0xDC80, 0xDD00)
"""The code points that stand for bytes that are not UTF-8 (`surrogateescape`), from 0x80 to 0xff."""


def shown(outside: object, limit: int = SHOWN_MAX) -> str:
    """Returns a word as one line of printable text, cut to `limit` characters before they are escaped."""
    text = outside.decode("utf-8", "surrogateescape") if isinstance(outside, bytes) else str(outside)
    text = _bare(text) if _A_URL.match(text) else without_secrets(text)
    cut = text[:limit] + "…" if len(text) > limit else text
    return re.sub(r"[^ -~]", _escaped, cut)


def printable(text: str) -> str:
    """Escapes all characters that are not printable, except line breaks. The value of a JSON text does not change."""
    return re.sub(r"[^ -~\n]", _escaped, text)


def without_secrets(text: str) -> str:
    """Removes users, passwords, signatures and tokens from the URLs of a text."""
    return _URLS.sub(lambda url: _bare(url[0]), text)


def _bare(url: str) -> str:
    return _PARAMETER.sub(r"\1…", _USER.sub("…@", url))


def plural(count: int, word: str) -> str:
    """Returns `1 file`, `2 keys`, `1,000 entries`."""
    if count == 1:
        return f"1 {word}"
    is_ies = word.endswith("y") and word[-2] not in "aeo"
    return f"{count:,} {word[:-1]}ies" if is_ies else f"{count:,} {word}s"


def is_text(word: str) -> bool:
    """Returns whether a word can be written in UTF-8, because it has no other bytes and no lone surrogates."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def command(words: Iterable[str]) -> str:
    """Returns a command as one can type it, without secrets.

    Words that are not printable are written as `$'…'`, which bash, ksh and zsh read.
    """
    bare = [_IN_A_WORD.sub(lambda url: _bare(url[0]), word) for word in words]
    return " ".join(shlex.quote(word) if printable(word) == word else _dollar_quoted(word) for word in bare)


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable() or category(char) in _HARMLESS:
        return char
    return f"\\x{_bytes(char).hex()}" if ord(char) in _UNDECODED else json.dumps(char)[1:-1]


def _dollar_quoted(word: str) -> str:
    escaped = re.sub(r"[^ -~]|['\\]", lambda found: "".join(f"\\x{byte:02x}" for byte in _bytes(found[0])), word)
    return f"$'{escaped}'"


def _bytes(char: str) -> bytes:
    return char.encode("utf-8", "surrogateescape" if ord(char) in _UNDECODED else "surrogatepass")
