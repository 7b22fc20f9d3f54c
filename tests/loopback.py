"""HTTP servers on this machine's own loopback, which the real clients ask."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes = b"", status: int = 200, headers: dict[str, object] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: object, status: int = 200, headers: dict[str, object] | None = None) -> None:
        self.answer(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})


class Server(ThreadingHTTPServer):
    """A server with a port of its own; `over` is set at its end, for whoever stalls until then."""

    daemon_threads = True

    def __init__(self, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url, self.over = f"http://127.0.0.1:{self.server_address[1]}", threading.Event()

    @contextmanager
    def running(self) -> Iterator["Server"]:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with pytest.MonkeyPatch.context() as patched:
            for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
                patched.delenv(name)
            yield self
        self.over.set()
        self.shutdown()
        self.server_close()
