"""A real HTTP server that notes what it is told, and answers as a test says."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """On 127.0.0.1; *answer* is sent as it is, after the request was noted."""

    def __init__(self, context: Any = None) -> None:
        self.told: list[Told] = []
        self.status = 204
        self.answer: bytes | None = None
        #: What happens before it answers.
        self.before: Any = lambda: None
        noted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                noted.told.append(Told(self.path, dict(self.headers), body))
                noted.before()
                if noted.answer is not None:
                    self.wfile.write(noted.answer)
                    return
                self.send_response(noted.status)
                if noted.status // 100 == 3:
                    self.send_header("Location", noted.url + "elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._scheme = "http"
        if context is not None:
            self._scheme = "https"
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
