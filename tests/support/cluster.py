"""A Ray cluster of the tests' own, with its dashboard and a token; and a proxy in front of it that can be cut."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.ports import free_port
from tests.support.processes import descendants, kill
from tests.support.waiting import START_SECONDS_MAX, comes

TOKEN = "a-token-of-the-tests-0123456789abcdef"


class Cluster:
    """One head node, and more nodes on the same machine as they are asked for.

    Its shells find `python` as in an activated environment, and none of its processes knows of this repository.
    """

    def __init__(self, environment, *, cpus=2, agent_port=None):
        self._folder = tempfile.mkdtemp(prefix="lm", dir="/tmp")  # short: Ray's sockets lie in it
        self._environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"} | {
            "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
        }
        self._processes = []
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.gcs = f"127.0.0.1:{(gcs := free_port())}"
        head = [f"--port={gcs}", f"--dashboard-port={port}", f"--ray-client-server-port={free_port()}"]
        head += [f"--num-cpus={cpus}", "--no-monitor"]  # of an autoscaler, which there is not
        head += ["--disable-usage-stats", f"--temp-dir={self._folder}/r"]
        self._start("--head", *head, agent_port=agent_port)
        assert comes(self._is_up, START_SECONDS_MAX), self._log()

    def add_node(self, *, without=None):
        """Add a node, one that finds a folder empty where it is named; returns once it has joined.

        Several that start at the same time get no answer from the head, and end.
        """
        started = self._count_started()
        hidden = f'mount -t tmpfs none {without} && exec "$@"'
        before = [] if without is None else ["unshare", "-rm", "sh", "-c", hidden, "sh"]
        self._start(f"--address={self.gcs}", "--num-cpus=2", before=before)
        assert comes(lambda: self._count_started() > started, START_SECONDS_MAX), self._log()

    def _count_started(self):
        return self._log().count("Ray runtime started")

    def _log(self):
        return Path(self._folder, "log").read_text()

    def kill_node(self, number):
        """End a node as a power cut would: its raylet and all its processes at once."""
        process = self._processes[number]
        kill([*descendants(process.pid), process])
        process.wait()

    def _start(self, *options, before=(), agent_port=None):
        ports = ["--min-worker-port=0", "--max-worker-port=0"]
        ports.append(f"--dashboard-agent-listen-port={agent_port or free_port()}")
        size = ["--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
        ray = str(Path(sys.executable).parent / "ray")
        with open(f"{self._folder}/log", "ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [*before, ray, "start", "--block", *options, *ports, *size],
                    env=self._environment,
                    cwd=self._folder,
                    stdout=log,
                    stderr=log,
                )
            )

    def _is_up(self):
        if self._processes[0].poll() is not None:
            raise RuntimeError(self._log())
        try:
            urllib.request.urlopen(f"{self.url}/api/version")
        except urllib.error.HTTPError as refused:
            return refused.code == 401
        except OSError:
            return False
        raise AssertionError("the cluster lets anyone in")

    def stop(self):
        for process in reversed(self._processes):
            left = descendants(process.pid)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            kill([process, *left])
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class Proxy:
    """Passes connections on to a port; with a TLS context to those who trust it, and until they are cut."""

    def __init__(self, port, tls=None):
        self._port, self._tls = port, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(connection,), daemon=True).start()

    def _connect(self, connection):
        with contextlib.suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, socket.create_connection(("127.0.0.1", self._port)) as there:
                self._open += [connection, there]
                back = threading.Thread(target=self._pass, args=(there, connection), daemon=True)
                back.start()
                self._pass(connection, there)
                back.join()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """End all connections that there are."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self):
        self._listener.close()
        self.cut()
