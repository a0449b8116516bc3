"""What a Python program hands over: what is meant is taken, what cannot be meant is an error that says what to give."""

import io
import json
import os
from pathlib import Path

import pytest

from linkmatch_ray import MatchOptions, Restrictions, Session, dry_run, explain, match_bytes, submit, submit_remote
from linkmatch_ray.errors import InputError, JobChanged, JobError, LinkmatchError, RestrictionsError, UsageError
from linkmatch_ray.io.inputs.listing import list_inputs
from linkmatch_ray.io.results.places import results_at
from linkmatch_ray.runtime.jobs.plan import PlanOptions
from tests.support import whole

LIST = Restrictions.load(b'["a"]')


@pytest.fixture(autouse=True)
def top(tmp_path, monkeypatch):
    """An empty directory but for one file and a list."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").write_text('{"url":"a"}\n')
    (tmp_path / "list.json").write_text('[{"url":"a"},{"url":"b"}]')
    return tmp_path


@pytest.mark.parametrize("inputs", ["w", b"w", Path("w"), ["w"], ("w", b"w"), iter([Path("w")]), {"w": 0}.keys()])
def test_inputs(inputs):
    """A path of any kind, or several in an order."""
    assert [file.name for file in list_inputs(inputs).files] == [b"w"]


@pytest.mark.parametrize(
    "inputs", [{"w": 1}, {"w"}, 3, None, bytearray(b"w"), io.StringIO("w\n"), [1], [None], [["w"]], ["w", 2.5]]
)
def test_what_are_no_inputs(inputs):
    """It says what was found and what to give; a set has no order, and an open file gives lines."""
    with pytest.raises(TypeError, match=r"^inputs.*: found .*\. Give a path"):
        submit(inputs, LIST)
    assert not os.path.exists("linkmatch-results")


def test_no_inputs():
    """Nothing in a list, and an empty name."""
    for inputs in ([], "", [""], [b""]):
        with pytest.raises(InputError):
            submit(inputs, LIST)


@pytest.mark.parametrize("restrictions", [["a"], {"a"}, {"url": "a"}, 3, None, MatchOptions(), bytearray(b'["a"]')])
def test_what_are_no_restrictions(restrictions):
    """A list in memory is the commonest: what to make of it is said."""
    for call in (Restrictions.load, lambda given: submit("w", given)):
        with pytest.raises(TypeError, match=r"restrictions: found .*as bytes, such as json.dumps\(keys\).encode\(\)"):
            call(restrictions)
    with pytest.raises(TypeError, match=r"restrictions: found .*Restrictions.load"):
        match_bytes(b"{}", restrictions)


@pytest.mark.parametrize("text", ['["a"]', '\n{"url":"a"}\n', "a\nb\n", '["' + "a" * 5000 + '"]'])
def test_a_list_that_is_taken_for_a_path(text):
    """A str is a path; one that looks like a list is told how to be one."""
    with pytest.raises(RestrictionsError, match=r"looks like the list itself.*as bytes"):
        Restrictions.load(text)


@pytest.mark.parametrize("key", [None, 3, b"url", {"url": "url"}, {"url"}, [1], ["url", None], [b"url"]])
def test_what_is_no_key(key):
    """None of the types that could be taken for another."""
    with pytest.raises(TypeError, match=r"^key: found "):
        Restrictions.load("list.json", key)


@pytest.mark.parametrize("key", ["", [], ["url", ""], "=url", "url="])
def test_an_empty_key(key):
    """No member is meant by it: the one without a name is called `/`."""
    with pytest.raises(UsageError, match=r"no key was given|^key: empty"):
        Restrictions.load("list.json", key)
    assert len(Restrictions.load(b'[{"":1}]', "/")) == 1


def test_a_key_for_loaded_restrictions():
    """They have one already."""
    loaded = Restrictions.load("list.json", "url")
    with pytest.raises(TypeError, match=r"^key: <Restrictions list\.json: .* is loaded and has its own\. Give"):
        submit("w", loaded, key="url")
    with pytest.raises(TypeError, match=r"^restrictions_at: <Restrictions .* is loaded and has its own\. Give"):
        submit("w", loaded, restrictions_at="/a")
    for how in ({"key": "url"}, {"restrictions_at": "/a"}, {"skip_keyless": True}, {"restrictions_format": "text"}):
        with pytest.raises(TypeError, match=rf"^{next(iter(how))}: <Restrictions .* is loaded and has its own\. Give"):
            explain(b'{"url":"a"}', loaded, **how)


def test_a_place_that_cannot_be_made(top, monkeypatch):
    """It is refused before the list is loaded, as a Ray would start meanwhile; a directory that is there is read."""
    monkeypatch.setattr(os, "access", lambda path, mode, **how: Path(path) != top)  # root may write anywhere
    for call in (submit, dry_run):
        with pytest.raises(JobError, match=rf"^{top}: Permission denied\. "):
            call("w", b"no list", output=top / "a/b")
    (top / "linkmatch.lock").touch()
    results_at(top).refuse_foreign()


def test_an_update_at_a_url(top):
    """It is refused before the list is loaded, which may take long, and before the inputs are listed."""
    for call in (submit, dry_run):
        with pytest.raises(UsageError, match=r"/out: --incremental needs a directory\. Name one with -o\."):
            call("w", b"no list", output=f"file://{top}/out", incremental=True)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("restrictions_format", "xml"),
        ("restrictions_format", None),
        ("restrictions_at", 3),
        ("restrictions_at", ""),
        ("skip_keyless", 1),
    ],
)
def test_options_of_a_list(name, wrong):
    """A format that is not known was found from the content without a word."""
    with pytest.raises((UsageError, TypeError), match=rf"^{name}[=:]"):
        Restrictions.load("list.json", "url", **{name: wrong})


@pytest.mark.parametrize(
    ("error", "name", "wrong"),
    [
        (UsageError, "emit", "all"),
        (UsageError, "emit", None),
        (UsageError, "format", "csv"),
        (UsageError, "max_record_bytes", 0),
        (TypeError, "max_record_bytes", "64"),
        (TypeError, "max_record_bytes", True),
        (TypeError, "max_inflation", 2.5),
        (TypeError, "max_inflation", None),
        (TypeError, "provenance", "no"),
        (TypeError, "name", b"x"),
        (UsageError, "name", "\ud800"),
        (TypeError, "records_at", 3),
        (UsageError, "records_at", ""),
    ],
)
def test_options_of_matching(error, name, wrong):
    """Each has its values."""
    with pytest.raises(error, match=f"^{name}"):
        MatchOptions(**{name: wrong})


@pytest.mark.parametrize("data", ["{}", None, 3, ["{}"], Path("w"), io.BytesIO(b"{}")])
def test_what_is_no_data(data):
    """A text or a path is told how to become bytes."""
    with pytest.raises(TypeError, match=r"^data: found .*as bytes: text.encode\(\), or Path\(name\).read_bytes\(\)"):
        match_bytes(data, LIST)


def test_data_of_several_kinds():
    """Whatever holds bytes."""
    for kind in (bytes, bytearray, memoryview):
        assert match_bytes(kind(b'{"data":"a"}'), LIST).counts.matched == 1
    for options in ({"emit": "both"}, "both"):
        with pytest.raises(TypeError, match=r"^options: found a"):
            match_bytes(b"{}", LIST, options)


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (UsageError, {"workers": 0}),
        (UsageError, {"workers": 10**9}),
        (TypeError, {"workers": "2"}),
        (UsageError, {"max_quarantined": -1}),
        (TypeError, {"max_quarantined": 0.5}),
        (UsageError, {"task_timeout": 0.9}),
        (UsageError, {"task_timeout": float("nan")}),
        (TypeError, {"task_timeout": "5"}),
        (TypeError, {"fail_fast": 1}),
        (TypeError, {"no_such_option": 1}),
        (UsageError, {"emit": "all"}),
        (UsageError, {"restrictions_format": "xml"}),
        (UsageError, {"address": "http://head:8265"}),
        (UsageError, {"drop_missing": True}),
        (UsageError, {"job_id": ""}),
        (TypeError, {"job_id": 7}),
        (UsageError, {"output": ""}),
        (TypeError, {"output": None}),
        (TypeError, {"output": 3}),
        (TypeError, {"options": {"emit": "both"}}),
        (TypeError, {"unit_bytes": 1e6}),
        (UsageError, {"part_bytes": 0}),
        (TypeError, {"overwrite": "no"}),
        (TypeError, {"incremental": None}),
        (TypeError, {"drop_missing": 1}),
        (TypeError, {"one_file_per_task": {"w"}}),
        (TypeError, {"session": "auto"}),
        (TypeError, {"session": 0}),
        (TypeError, {"on_listing": True}),
    ],
)
def test_options_of_a_job(error, arguments):
    """Named, and nothing is begun."""
    (name,) = arguments
    with pytest.raises(error, match=f"^{name}|--job-id|--drop-missing|the result directory|no_such_option"):
        submit("w", LIST, **{"output": "out", **arguments})
    assert not os.path.exists("out")


def test_paths_that_end_with_nul_in_no_file():
    """The option is for `files_from`, and would change nothing."""
    with pytest.raises(UsageError, match=r"^--null: says how the paths in --files-from end"):
        submit("w", LIST, null=True)


def test_the_local_address_beside_a_session():
    """It stands for no address, also where the command gives a session of its own."""
    with Session("local") as session, pytest.raises(InputError, match=r"^nowhere: no such file"):
        submit("nowhere", LIST, session=session, address="local")


@pytest.mark.parametrize("name", ["address", "dashboard", "verbose"])
def test_options_of_a_session(name):
    """Beside a session they are its own, or they would be ignored."""
    value = "auto" if name == "address" else True
    with Session() as session, pytest.raises(UsageError, match=f"^{name}: the session has its own"):
        submit("w", LIST, session=session, **{name: value})
    with Session(**{name: value}) as session, pytest.raises(InputError, match=r"^nowhere: no such file"):
        submit("nowhere", LIST, session=session, **{name: value})


@pytest.mark.parametrize("option", [{"unit_bytes": 1 << 20}, {"part_bytes": 1}, {"name": "x"}], ids=str)
def test_options_that_a_cluster_is_not_sent(option):
    """An option that the command lacks is refused before the cluster is reached."""
    (name,) = option
    with pytest.raises(UsageError, match=f"^{name}: cannot be sent to a cluster"):
        submit_remote("/in", "/list.txt", output="/out", address="http://127.0.0.1:9", **option)


def test_a_ray_that_cannot_be_joined():
    """It is refused before there is a job."""
    with pytest.raises(LinkmatchError, match="Ray Client"):
        submit("w", LIST, output="out", address="ray://head:10001")


@pytest.mark.parametrize("wrong", [{"start": "0"}, {"start": None}, {"start": 1.0}, {"limit": 2.5}, {"limit": True}])
def test_which_matches(wrong):
    """A number with a fraction gave none, without a word."""
    output = Path("out").absolute()
    whole.submit("w", output, MatchOptions(), PlanOptions())
    job = submit("w", whole.LIST, output=output)
    with pytest.raises(TypeError, match=f"^{next(iter(wrong))}: found"):
        job.matches(**wrong)


def test_a_list_by_its_name():
    """Restrictions may be what `load` takes; the same job as with what it gives. Without Ray, as it is complete."""
    output = Path("out").absolute()
    whole.submit("w", output, MatchOptions(), PlanOptions())
    for given in (b'["a", "b", {"data": 1}]', whole.LIST):
        job = submit("w", given, output=output)
        assert job.result(0)["totals"]["records"] == 1
    with pytest.raises(JobChanged):
        submit("w", "list.json", key="url", output=output)


def test_what_is_seen_of_a_list():
    """A line: its name, how many entries, and the key."""
    assert repr(Restrictions.load("list.json", "url")) == "<Restrictions list.json: 2 entries, key 'url'>"
    entries = json.dumps([{"a": 1, "c": n} for n in range(1500)]).encode()
    assert repr(Restrictions.load(entries, ["a", "/b/c=c"])) == (
        "<Restrictions <bytes>: 1,500 entries, key ['a', '/b/c=c']>"
    )


def test_what_is_seen_of_a_complete_job():
    """A line: its id, that it is complete, and where; and its progress is that of the end."""
    output = Path("out").absolute()
    summary = whole.submit("w", output, MatchOptions(), PlanOptions())
    job = submit("w", whole.LIST, output=output)
    assert repr(job) == f"<Job {summary['job_id']}: complete, 0 of 1 record matched, results in {output}>"
    progress = job.progress()
    assert (progress.files, progress.files_done, progress.counts.records) == (1, 1, 1)
    assert progress.bytes_total == progress.bytes_done == os.path.getsize("w")
    assert results_at(output).summary() == job.result()
