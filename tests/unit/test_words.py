"""Words from outside: what is shown of them, and that no message and no JSON of ours fails over them."""

import io
import json
import os
import subprocess

import orjson
import pytest

from linkmatch_ray import JobOptions, MatchOptions, Restrictions, errors
from linkmatch_ray.cli.printer import Plain
from linkmatch_ray.io.diagnosis.explanation import explain
from linkmatch_ray.io.diagnosis.hints import beginnings_of, hints
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.inputs.names import read_names
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.io.storage.store import store_of
from linkmatch_ray.runtime.cluster.upload import on_cluster, prepare_upload
from linkmatch_ray.words import SHOWN_MAX, command, printable, shown

LIST = Restrictions.load(b'["a"]')


@pytest.mark.parametrize(
    ("outside", "expected"),
    [
        ("plain ~ text\\n", "plain ~ text\\n"),
        ("é Ж 日本 العربية हिन्दी 😀\u3000\u00a0", "é Ж 日本 العربية हिन्दी 😀\u3000\u00a0"),
        ("\x1b[31m\x07", "\\u001b[31m\\u0007"),
        ("a\nb\r\tc\x7f", "a\\nb\\r\\tc\\u007f"),
        ("\x9b\x85", "\\u009b\\u0085"),
        ("\u202e\u2066\u200d\ufeff\xad", "\\u202e\\u2066\\u200d\\ufeff\\u00ad"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\ud800", "\\ud800"),
        ("\uffff", "\\uffff"),
        (b"\xff\xc3\xa9\x80", "\\xffé\\x80"),
        (os.fsdecode(b"\xff"), "\\xff"),
        (ValueError("a\nb"), "a\\nb"),
        (None, "None"),
    ],
)
def test_shown(outside, expected):
    """Letters of all scripts stay; what a terminal obeys, what is not seen and what is no character does not."""
    assert shown(outside) == expected
    assert shown(expected) == expected


def test_a_long_word_is_cut():
    assert shown("é" * SHOWN_MAX) == "é" * SHOWN_MAX
    for letter in "éx":
        assert shown(letter * 10**6) == letter * SHOWN_MAX + "…"
    assert shown(b"\xff" * 10**6, 3) == "\\xff\\xff\\xff…"


def test_a_printed_json_has_the_value_it_had():
    """Every character but those that UTF-8 cannot hold."""
    value = {"".join(map(chr, range(low, low + 0x400))): low for low in range(0, 0x110000, 0x400) if low >> 11 != 27}
    text = printable(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    assert json.loads(text) == value
    assert printable(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_stream_takes_any_text(encoding):
    """What it has no letters for is escaped as in JSON, too."""
    value = {"\u202eé😀": "\x9b\x7f日本"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    Plain(stream).writelines([orjson.dumps(value).decode(), "\n", "\ud800\udcff\x1b"])
    stream.flush()
    first, second = stream.buffer.getvalue().decode(encoding).split("\n")
    assert json.loads(first) == value
    assert second == "\\ud800\\xff\\u001b"


def test_colours_are_left_out():
    """Ray resets them at its end on a terminal; what else begins with an escape is shown."""
    stream = io.StringIO()
    Plain(stream).write("\x1b[36ma\x1b[0m\x1b\x1b[1;2m[2J")
    assert stream.getvalue() == "a\\u001b[2J"


@pytest.mark.parametrize("word", ["a b", "é", "", "\x1b'\\\n", os.fsdecode(b"\xff\xc3\xa9\xfe"), "\u202e", "$x"])
def test_a_command_can_be_typed_again(word):
    """As a shell reads it, it is the same word; and it can be printed."""
    typed = command(["printf", "%s", word])
    assert shown(typed) == typed
    assert subprocess.run(["bash", "-c", typed], capture_output=True, check=True).stdout == os.fsencode(word)


@pytest.mark.parametrize("kind", [each for each in vars(errors).values() if isinstance(each, type)])
def test_an_error_is_printable(kind):
    """Whatever its message was made of."""
    assert str(kind("a\x1b\u202e\nb\ud800")) == "a\\u001b\\u202e\nb\\ud800"


@pytest.mark.parametrize("name", ["\\ud800", "\\udcff", "\\u001b\\n", "\u202e\x9b", "x" * 10**5])
def test_hints_and_explanations_can_be_written(name, tmp_path):
    """A member's name is shown as JSON has it, and does not fill the screen."""
    (tmp_path / "a.json").write_text(f'[{{"{name}":1}}]')
    said = [
        *hints(beginnings_of(list_inputs([tmp_path]).files), LIST, 1, 0, 1),
        explain(f'{{"{name}":1}}'.encode(), LIST).why,
    ]
    assert len(said) == 2
    for text in said:
        assert orjson.loads(orjson.dumps(text)) == shown(text, len(text)) == text
        assert len(text) < 500
        assert name[:1] != "\\" or name[:4] in text


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_no_file_can_have(name, tmp_path):
    """They are refused by name, wherever a file is named."""
    for use in (
        lambda: list_inputs([name]),
        lambda: list_inputs([f"file://{tmp_path}/{name}"]),
        lambda: list_inputs([f"{name}/*"]),
        lambda: read_names(name, null=False),
        lambda: Restrictions.load(name),
        lambda: results_at(name),
    ):
        with pytest.raises(errors.InputError, match="no file can have this name"):
            use()


@pytest.mark.parametrize("word", ["\ud800", os.fsdecode(b"a\xff")])
def test_words_that_must_be_text(word, tmp_path):
    """Keys, pointers and job ids are; what cannot be written in UTF-8 is refused by name."""
    (tmp_path / "a.json").write_text("{}")
    for use in (
        lambda: Restrictions.load(b"[]", word),
        lambda: Restrictions.load(b"[]", f"a={word}"),
        lambda: Restrictions.load(b'{"a":[]}', restrictions_at=f"/{word}"),
        lambda: MatchOptions(records_at=f"/{word}"),
        lambda: JobOptions(job_id=word),
    ):
        with pytest.raises(errors.UsageError, match="not UTF-8"):
            use()


def test_what_travels_to_a_cluster(tmp_path):
    """A job's command is UTF-8: a list that is sent gets such a name, what is there already must have one."""
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"a\xff.txt"))
    with open(path, "w") as file:
        file.write("x")
    (tmp_path / "uploads").mkdir()
    sent, _ = prepare_upload(path, "--restrictions", tmp_path / "uploads")
    assert sent == "restrictions/a\ufffd.txt"
    assert (tmp_path / "uploads" / sent).read_text() == "x"
    for name in ("kev.csv.gz", "kev.parquet"):  # whose format is found from the name there
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name.partition(".")[2]).mkdir()
        assert prepare_upload(tmp_path / name, "-r", tmp_path / name.partition(".")[2])[0] == f"r/{name}"
    with pytest.raises(errors.UsageError, match=r"xff.txt: not UTF-8 \(-o\)"):
        on_cluster(path, "-o")


def test_a_url_of_a_file_is_that_file(tmp_path):
    """Bytes that are not UTF-8, line breaks and question marks, escaped or not, for inputs and for results."""
    name = b"a\xff\n?#.json"
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(b"{}")
    for spelt in (name, b"a%FF%0a%3f%23.json"):
        url = b"file://" + os.fsencode(tmp_path) + b"/" + spelt
        (found,) = list_inputs([url]).files
        assert found.path == os.path.realpath(path)
        store_of(os.fsdecode(url.replace(b".json", b".d"))).put("x", b"1")
        assert os.path.exists(path.replace(b".json", b".d") + b"/x")
