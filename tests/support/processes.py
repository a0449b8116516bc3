"""The processes that descend from this one, read from /proc."""

import os
from pathlib import Path


def descendants(of=None):
    """pid -> title of all living descendants of a process (this one if not given)."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state != "Z":
            parents[int(entry.name)], titles[int(entry.name)] = int(parent), title
    found, wanted = {}, {of or os.getpid()}
    while wanted:
        wanted = {pid for pid, parent in parents.items() if parent in wanted and pid not in found}
        found |= {pid: titles[pid] for pid in wanted}
    return found


def titled(beginning):
    """pids of the descendants whose title begins so."""
    return [pid for pid, title in descendants().items() if title.startswith(beginning)]
