"""The plain reading of a file of JSON values, by the rules of the contract, with the whole text in memory.

It is slow, and quadratic in places. What the program reads in windows, ranges and parts is compared with it.
"""

import json
import re
from dataclasses import dataclass, field

DEPTH_MAX = 500
WHITE = b" \t\r\n"
RS = 0x1E
BOM = b"\xef\xbb\xbf"


def _refuse(constant):
    raise ValueError(constant)


_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?")
_NUMBER = re.compile(rb"-?(?:(?:0|[1-9][0-9]*)(?:\.(?:[0-9]+(?:[eE](?:[+-]?[0-9]*)?)?)?|[eE](?:[+-]?[0-9]*)?)?)?")
_WHOLE_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(rb"[ \t\r]*,[ \t\r]*(?=\n|\Z)")
_ANY_STRING = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_MARGIN = re.compile(rb"\x1e|^[{\[]", re.MULTILINE)
_BOUNDS = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\*|[0-9]+)\]|\['((?:[^'\\]|\\.)*)'\]")


class Wrong(Exception):  # noqa: N818
    """Reading failed at the byte `at`; `is_torn` says that the text ends within a string, number or word."""

    def __init__(self, at, reason, *, is_torn=False):
        super().__init__(at, reason)
        self.at, self.reason, self.is_torn = at, reason, is_torn


@dataclass
class Item:
    """A record, or an entry if it has a reason."""

    start: int
    end: int
    reason: str | None = None


@dataclass
class Options:
    """How a text is read; `cut` says that compressed data ends before its end."""

    format: str = "auto"
    records_at: str | None = None
    limit: int = 64 << 20
    cut: bool = False


def read(text, options):
    """Returns the records and entries of a decoded text, in order."""
    return Reading(text, options).read()


def steps_of(path):
    """The steps to the records: names, indexes (int), tokens of a pointer that are both (tuple), `*` (None)."""
    if path.startswith("/"):
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in path[1:].split("/")]
        return [(token,) for token in tokens] + [None]
    assert path.startswith("$")
    steps = []
    for name, index, quoted in _STEP.findall(path[1:]):
        steps.append(None if index == "*" else int(index) if index else (name or quoted))
    return steps


@dataclass
class Reading:
    text: bytes
    options: Options
    items: list = field(default_factory=list)

    def __post_init__(self):
        self.end, self.latin_1 = len(self.text), self.text.decode("latin-1")
        self.margins = [found.start() for found in _MARGIN.finditer(self.text)]
        self.steps = steps_of(self.options.records_at) if self.options.records_at is not None else None

    def read(self):
        start = len(BOM) if self.text.startswith(BOM) else 0
        if self.white(start) == self.end and not self.options.cut:
            return []
        if b"\0" in self.text[start : start + 4]:
            self.entry(self.white(start), self.end, "not_utf8")
        elif self.options.format == "object":
            self.object(start)
        elif self.is_lines(start):
            self.lines(start)
        else:
            self.values(start)
        return self.items

    # Places

    def white(self, at, *, rs=True):
        """The first byte from `at` on that is not white space, RS included if it stands between values."""
        while at < self.end and (self.text[at] in WHITE or (rs and self.text[at] == RS)):
            at += 1
        return at

    def back(self, start, at):
        """The last place up to which bytes are not white space."""
        while at > start and (self.text[at - 1] in WHITE or self.text[at - 1] == RS):
            at -= 1
        return at

    def is_margin(self, at):
        return at in set(self.margins)

    # Items

    def record(self, start, end):
        reason = None
        if end - start > self.options.limit:
            reason = "too_long"
        elif self.bad_utf8(start, end) is not None:
            reason = "invalid_utf8"
        self.items.append(Item(start, end, reason))

    def bad_utf8(self, start, end):
        try:
            self.text[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            return start + error.start
        return None

    def entry(self, start, end, reason):
        self.items.append(Item(start, self.back(start, end), reason))

    def damaged(self, start, end, wrong, *, is_closed=False):
        """An entry whose reason is that of its first error."""
        end = self.back(start, end)
        bad = self.bad_utf8(start, min(wrong.at, end))
        reason = wrong.reason if bad is None else "invalid_utf8"
        if is_closed and end - start > self.options.limit:
            reason = "too_long"
        self.entry(start, end, reason)

    # The grammar

    def scalar(self, at):
        """The end of the string, number or word at `at`."""
        text, end = self.text, self.end
        if text[at] == ord('"'):
            at = _STRING.match(text, at).end()
            if at < end and text[at] == ord('"'):
                return at + 1
            if at < end and text[at] == ord("\\") and _ESCAPE.match(text, at).end() == end:
                at = end  # it may become an escape
            raise Wrong(at, "truncated" if at == end else "invalid_json", is_torn=at == end)
        for word in (b"true", b"false", b"null"):
            if text[at] == word[0]:
                length = next((n for n in range(len(word)) if text[at + n : at + n + 1] != word[n : n + 1]), len(word))
                if length == len(word):
                    return at + length
                at += length
                raise Wrong(at, "truncated" if at == end else "invalid_json", is_torn=at == end)
        if text[at] == ord("-") or text[at : at + 1].isdigit():
            longest = _NUMBER.match(text, at).end()
            whole = _WHOLE_NUMBER.match(text, at)
            if whole is not None and whole.end() == longest:
                return longest
            raise Wrong(longest, "truncated" if longest == end else "invalid_json", is_torn=longest == end)
        raise Wrong(at, "invalid_json")

    def sound_end(self, at, depth):
        """The end of a sound array or object by Python's `json`, or None. It is much faster."""
        if at == self.end or self.text[at] not in b"[{":
            return None
        try:
            end = _BOUNDS.raw_decode(self.latin_1, at)[1]
        except (ValueError, RecursionError):
            return None
        brackets = self.text.count(b"[", at, end) + self.text.count(b"{", at, end)
        return end if depth + brackets <= DEPTH_MAX else None

    def value(self, at, depth=0):
        """The end of the value at `at`, which has so many brackets around it."""
        if (end := self.sound_end(at, depth)) is not None:
            return end
        text, stack, waits = self.text, [], "value"
        while True:
            at = self.white(at, rs=False) if stack else at
            if at == self.end:
                raise Wrong(at, "truncated")
            byte = chr(text[at])
            if waits in ("value", "first") and byte in "[{":
                if depth + len(stack) == DEPTH_MAX:
                    raise Wrong(at, "too_deep")
                stack.append(byte)
                at, waits = at + 1, "first" if byte == "[" else "first name"
                continue
            if waits in ("value", "first") and not (waits == "first" and byte == "]"):
                at = self.scalar(at)
            elif waits in ("name", "first name") and byte == '"':
                at = self.white(self.scalar(at), rs=False)
                if at == self.end or text[at] != ord(":"):
                    raise Wrong(at, "truncated" if at == self.end else "invalid_json")
                at, waits = at + 1, "value"
                continue
            elif waits in ("next", "first", "first name") and byte == "}]"[stack[-1] == "["]:
                stack.pop()
                at += 1
            elif waits == "next" and byte == ",":
                at, waits = at + 1, "value" if stack[-1] == "[" else "name"
                continue
            else:
                raise Wrong(at, "invalid_json")
            if not stack:
                return at
            waits = "next"

    def whole(self, at):
        """The end of a top-level value, and behind it a comma that ends the line. A number or word has white space
        behind it."""
        end = self.value(at)
        return self.behind(at, end)

    def behind(self, at, end):
        """Where reading goes on behind a top-level value."""
        if comma := _COMMA.match(self.text, end):
            return comma.end()
        if self.text[at] not in b'{["' and end < self.end and self.text[end] not in WHITE and self.text[end] != RS:
            raise Wrong(end, "invalid_json")
        return end

    # Layouts

    def is_lines(self, start):
        if self.options.format != "auto":
            return self.options.format == "lines"
        first = self.white(start)
        for low, high, _ in self.each_line(start):
            if high - first > self.options.limit:
                return False
            try:
                self.line_values(low, high)
            except Wrong as wrong:
                is_incomplete = wrong.at == high and wrong.reason == "truncated" and not wrong.is_torn
                if is_incomplete or self.text[first] == ord("["):
                    return False
            else:
                return sum(1 for _ in self.each_line(start)) > 1
        return False

    def each_line(self, start):
        """The bounds of the lines that are not blank, and whether a newline ends them."""
        while start < self.end:
            newline = self.text.find(b"\n", start)
            stop = newline if newline >= 0 else self.end
            low = start
            while low < stop and (self.text[low] in WHITE or self.text[low] == RS):
                low += 1
            if low < stop:
                yield low, self.back(low, stop), newline >= 0
            start = stop + 1

    def line_values(self, low, high, *, of_records=False):
        """The bounds of the values on a line; `of_records` says that depth counts from the elements of an array."""
        part = Reading(self.text[low:high], self.options)
        values, at = [], 0
        try:
            while at < part.end:
                are_records = of_records and part.text[at] == ord("[") and self.options.format != "lines"
                end = part.value(at, -1 if are_records else 0)
                values.append((low + at, low + end))
                at = part.white(part.behind(at, end))
        except Wrong as wrong:
            raise Wrong(low + wrong.at, wrong.reason, is_torn=wrong.is_torn) from None
        return values

    def lines(self, start):
        left = None
        for low, high, has_end in self.each_line(start):
            if self.options.cut and not has_end:
                left = low
                break
            self.line(low, high)
        if self.options.cut:
            self.entry(self.end if left is None else left, self.end, "truncated")

    def line(self, low, high):
        part = Reading(self.text[low:high], self.options)
        try:
            if self.steps is not None:
                self.documents(part, low)
            else:
                for start, end in self.line_values(low, high, of_records=True):
                    part.line_value(start - low, end - low)
            if high - low > self.options.limit or self.bad_utf8(low, high) is not None:
                raise Wrong(high, "invalid_json")
        except Wrong as wrong:
            if high - low > self.options.limit:
                self.entry(low, high, "too_long")
            else:
                self.damaged(low, high, wrong)
            return
        self.items += [Item(low + item.start, low + item.end, item.reason) for item in part.items]

    def documents(self, line, start):
        """Takes the records in the values of a line at `start`. Damage in any of them is damage of the line."""
        at, wrong = 0, None
        try:
            while at < line.end:
                end = Walk(line, strict=True).document(at)
                at = line.white(line.behind(at, end))
        except Wrong as error:
            wrong = error
        for item in line.items:
            if item.reason not in (None, "no_records"):
                wrong = Wrong(item.start, item.reason)
                break
        if wrong is not None:
            raise Wrong(start + wrong.at, wrong.reason)

    def line_value(self, start, end):
        """Takes a sound value of a line."""
        if self.text[start] == ord("[") and self.options.format != "lines":
            self.array(start, is_sound=True)
        else:
            self.record(start, end)

    def values(self, start):
        at = self.white(start)
        while at < self.end:
            try:
                at = self.top(at)
            except Wrong as wrong:
                at = self.restart(self.begins, wrong)
                if at is None:
                    return
            at = self.white(at)
        if self.options.cut:
            self.entry(self.end, self.end, "truncated")

    def top(self, at):
        """Reads one value of the sequence; returns where the next begins. Damage begins an entry at `begins`."""
        self.begins = at
        text = self.text
        if self.steps is not None:
            return self.document(at)
        if text[at] == ord("["):
            return self.comma(self.array(at))
        try:
            end = self.value(at)
            go_on = self.behind(at, end)
        except Wrong as wrong:
            closed = self.closed(at) if text[at] == ord("{") else None
            if closed is None:
                raise
            if self.options.cut and closed == self.end:
                raise
            self.damaged(at, closed, wrong, is_closed=True)
            return self.comma(closed)
        if self.options.cut and end == self.end:
            raise Wrong(end, "truncated")
        if self.options.format == "array" and end - at <= self.options.limit and self.bad_utf8(at, end) is None:
            self.entry(at, end, "not_array")
        else:
            self.record(at, end)
        return go_on

    def comma(self, at):
        found = _COMMA.match(self.text, at)
        return found.end() if found else at

    def document(self, at):
        walk = Walk(self)
        try:
            end = walk.document(at)
            go_on = self.behind(at, end)
        except Wrong:
            self.begins = at
            if walk.last is not None:
                self.begins = walk.last
                while self.begins < self.end and (
                    self.text[self.begins] in WHITE or self.text[self.begins] == ord(",")
                ):
                    self.begins += 1
            raise
        return go_on

    def object(self, start):
        at = self.white(start)
        if at == self.end:
            self.entry(at, at, "truncated")
            return
        try:
            end = self.value(at)
            end_of_comma = self.behind(at, end)
            if self.options.cut and end == self.end:
                raise Wrong(end, "truncated")
            self.record(at, end)
        except Wrong as wrong:
            end = self.closed(at) if self.text[at] in b"{[" else None
            if end is None or (self.options.cut and end == self.end):
                self.damaged(at, self.end, wrong)
                return
            self.damaged(at, end, wrong, is_closed=True)
            end_of_comma = self.comma(end)
        rest = self.white(end_of_comma)
        if rest < self.end:
            self.entry(rest, self.end, "trailing_data")
        elif self.options.cut:
            self.entry(self.end, self.end, "truncated")

    # Arrays

    def array(self, at, depth=0, *, is_sound=False, walk=None):
        """Takes the elements of the array at `at`; returns where it ends."""
        text, at, is_first = self.text, at + 1, True
        while True:
            at = self.white(at, rs=False)
            self.begins = at
            if at == self.end:
                raise Wrong(at, "truncated")
            if text[at] == ord("]") and is_first:
                return at + 1
            if text[at] in b",]":
                self.entry(at, at, "invalid_json")
                end = at
            else:
                end = self.element(at)
            if walk is not None:
                walk.last = end
            at = self.white(end, rs=False)
            if at == self.end:
                self.begins = at
                raise Wrong(at, "truncated")
            if text[at] == ord("]"):
                return at + 1
            at, is_first = at + 1, False
            if walk is not None:
                walk.last = at

    def element(self, at):
        """Takes one element; returns where it ends, before white space and comma."""
        try:
            end = self.value(at)
            following = self.white(end, rs=False)
            if following == self.end and end == self.end:
                raise Wrong(end, "truncated")
            if following < self.end and self.text[following] not in b",]":
                raise Wrong(following, "invalid_json")
        except Wrong as wrong:
            closed = self.closed_element(at)
            if closed is None:
                raise
            self.damaged(at, closed, wrong, is_closed=True)
            return closed
        self.record(at, end)
        return end

    # Damage

    def brackets(self, at):
        """The brackets and commas outside strings, from `at` on."""
        while at < self.end:
            byte = self.text[at]
            if byte == ord('"'):
                at = _ANY_STRING.match(self.text, at).end()
                continue
            if byte in b"[]{},":
                yield at, chr(byte)
            at += 1

    def next_margin(self, at):
        return next((margin for margin in self.margins if margin > at), self.end)

    def closed(self, at):
        """Where a damaged top-level value ends that is closed before the next margin; None if it is not."""
        margin, opened = self.next_margin(at), 0
        for place, byte in self.brackets(at):
            if place >= margin:
                return None
            opened += (byte in "[{") - (byte in "]}")
            if byte in "]}" and opened == 0:
                return place + 1
        return None

    def closed_element(self, at):
        """Where the comma or bracket stands that closes a damaged element; None if none does before a margin."""
        margin, opened = self.next_margin(at), 0
        for place, byte in self.brackets(at):
            if place >= margin:
                return None
            if byte in ",]" and opened == 0:
                return place
            opened += (byte in "[{") - (byte in "]}")
            if opened < 0:
                return None
        return None

    def restart(self, start, wrong):
        """Writes the entry from `start` on; returns where reading goes on, or None."""
        furthest = wrong.at
        tried = -1
        between = [m for m in self.margins if (m > start or (m == start and self.text[m] == RS)) and m < furthest]
        found = None
        if between and furthest - start <= self.options.limit:
            found, furthest = self.attempt(between[0], furthest, may_stream=False)
            tried = between[0]
        while found is None:
            margin = next(
                (
                    m
                    for m in self.margins
                    if m >= furthest and m > tried and (m > start or (m == start and self.text[m] == RS))
                ),
                None,
            )
            if margin is None:
                break
            found, furthest = self.attempt(margin, furthest, may_stream=True)
            tried = margin
        self.damaged(start, self.end if found is None else found, wrong)
        if found is None:
            return None
        return found

    def attempt(self, margin, furthest, *, may_stream):
        """Tries a restart; returns it or None, and the furthest byte at which reading has failed."""
        at = self.white(margin) if self.text[margin] == RS else margin
        if at == self.end:
            return None, self.end
        try:
            end = self.value(at)
            self.behind_number(at, end)
            following = self.white(end, rs=False)
            if following == self.end or self.is_margin(following):
                return margin, furthest
            raise Wrong(following, "invalid_json")
        except Wrong as wrong:
            streams = self.steps is not None or (self.text[at] == ord("[") and self.options.format != "lines")
            is_long = wrong.at - margin >= self.options.limit  # its records are streamed, before or behind the failure
            if streams and (is_long or (may_stream and wrong.reason == "truncated")):
                return margin, furthest
            return None, max(furthest, wrong.at)

    def behind_number(self, at, end):
        if self.text[at] not in b'{["' and end < self.end and self.text[end] not in WHITE and self.text[end] != RS:
            raise Wrong(end, "invalid_json")


class Walk:
    """The way to the records of one value of the sequence."""

    def __init__(self, reading, *, strict=False):
        self.reading, self.strict = reading, strict
        self.last = None  # behind the last record or entry
        self.missed = self.reached = False

    def document(self, at, _=None):
        reading = self.reading
        before = len(reading.items)
        end = self.walk(at, reading.steps, 0)
        gave = len(reading.items) > before
        if reading.options.cut and end == reading.end and not gave and not self.strict:
            raise Wrong(end, "truncated")
        if not self.strict:
            reading.behind(at, end)
        if self.missed and not self.reached:
            reading.entry(at, end, "no_records")
        return end

    def walk(self, at, steps, depth):
        reading, text = self.reading, self.reading.text
        step, *rest = steps
        if depth == DEPTH_MAX and text[at] in b"[{":
            raise Wrong(at, "too_deep")
        if text[at] == ord("[") and step is None and not rest:
            self.reached = True
            return reading.array(at, depth + 1, walk=self)
        if text[at] == ord("["):
            return self.array(at, step, rest, depth)
        if text[at] == ord("{") and (isinstance(step, (str, tuple))):
            return self.object(at, step if isinstance(step, str) else step[0], rest, depth)
        self.missed = True
        return self.skip(at, depth)

    def skip(self, at, depth):
        """The end of a value that holds no records."""
        return self.sound(at, lambda: self.reading.value(at, depth))

    def sound(self, at, read):
        """The end of what is read outside of records: bytes that are not UTF-8 are damage there like any other."""
        wrong = None
        try:
            end = read()
        except Wrong as error:
            wrong, end = error, error.at
        if (bad := self.reading.bad_utf8(at, end)) is not None:
            raise Wrong(bad, "invalid_utf8")
        if wrong is not None:
            raise wrong
        return end

    def array(self, at, step, rest, depth):
        reading, text = self.reading, self.reading.text
        wanted = None
        if isinstance(step, int):
            wanted = step
        elif isinstance(step, tuple) and re.fullmatch(r"0|[1-9][0-9]*", step[0]):
            wanted = int(step[0])
        elif step is not None:
            self.missed = True
            return self.skip(at, depth)
        at, index = at + 1, 0
        while True:
            at = reading.white(at, rs=False)
            if at == reading.end:
                raise Wrong(at, "truncated")
            if text[at] == ord("]") and not index:
                break
            is_wanted = step is None or index == wanted
            end = self.walk(at, rest, depth + 1) if is_wanted else self.skip(at, depth + 1)
            index += 1
            at = reading.white(end, rs=False)
            if at == reading.end:
                raise Wrong(at, "truncated")
            if text[at] == ord("]"):
                break
            if text[at] != ord(","):
                raise Wrong(at, "invalid_json")
            at += 1
        if wanted is not None and index <= wanted:
            self.missed = True
        return at + 1

    def object(self, at, wanted, rest, depth):
        reading, text, is_first, has = self.reading, self.reading.text, True, False
        at += 1
        while True:
            at = reading.white(at, rs=False)
            if at == reading.end:
                raise Wrong(at, "truncated")
            if text[at] == ord("}") and is_first:
                break
            if text[at] != ord('"'):
                raise Wrong(at, "invalid_json")
            end = self.sound(at, lambda at=at: reading.scalar(at))
            name = json.loads(text[at:end])
            at = reading.white(end, rs=False)
            if at == reading.end or text[at] != ord(":"):
                raise Wrong(at, "truncated" if at == reading.end else "invalid_json")
            at = reading.white(at + 1, rs=False)
            if at == reading.end:
                raise Wrong(at, "truncated")
            if name == wanted:
                has = True
                end = self.walk(at, rest, depth + 1)
            else:
                end = self.skip(at, depth + 1)
            at = reading.white(end, rs=False)
            if at == reading.end:
                raise Wrong(at, "truncated")
            if text[at] == ord("}"):
                break
            if text[at] != ord(","):
                raise Wrong(at, "invalid_json")
            at, is_first = at + 1, False
        self.missed |= not has
        return at + 1
