"""An input whose bytes are held back until a test lets go of them: until then its job cannot be over."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import NamedTuple

BLANK = b"\n"
"""All that is in it, so that the job's results are those of its other inputs."""


class Held(NamedTuple):
    url: str
    released: Event

    def release(self):
        self.released.set()


@contextmanager
def held():
    """Gives the input as one at a URL. A job with it as the last one goes on until it is released, or cancelled."""
    released = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BLANK)))
            self.send_header("ETag", '"held"')
            self.end_headers()

        def do_GET(self):
            released.wait()
            self.do_HEAD()
            self.wfile.write(BLANK)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            """A reader that was killed, or lost its patience, has closed its connection."""

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Held(f"http://127.0.0.1:{server.server_port}/held.jsonl", released)
        finally:
            released.set()
            server.shutdown()
