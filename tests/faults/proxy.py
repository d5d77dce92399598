"""A web proxy that breaks every so many requests, each in another way, between a real client and a real server."""

import contextlib
import http.client
import http.server
import itertools
import math
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator

FAULTS = ("503", "reset", "cut", "lost", "429", "half", "stall")


class FaultyProxy:
    """Notes requests and faults.

    Args:
      upstream: the server's address.
      every: which request of how many is broken; 0 for none.
      faults: in turn: a number is answered as the status; ``cut`` breaks the connection in the middle of what is
        sent, ``reset`` before the request is handed on, ``lost`` after that, so that the client cannot know that it was
        obeyed; ``half`` breaks it in the middle of the answer; ``stall`` does not answer for so long that the client
        gives up.
      stall: seconds.
      only: break, and count, only requests whose path has this in it.
      down_after: after so many requests all are broken.
      up_after: after so many none is.
      before: called with method, path and body before a request is handed on.
      body: what the answers with a number say.

    Attributes:
      asked: the method, path and ``Authorization`` of every request.
      broken: the faults, in their order.
    """

    def __init__(
        self, upstream: str, every: int = 0, faults=FAULTS, stall: float = 1.5, only: str = "",
        down_after: float = math.inf, up_after: float = math.inf,
        before: Callable[[str, str, bytes], None] = lambda method, path, body: None, body: bytes = b"busy",
    ):  # fmt: skip
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.every, self.stall, self.only = every, stall, only
        self.down_after, self.up_after, self.before, self.body = down_after, up_after, before, body
        self.requests = 0
        self.asked: list[tuple[str, str, str]] = []
        self.broken: list[str] = []
        self._faults = itertools.cycle(faults)
        self._lock = threading.Lock()

    def fault(self, path: str) -> str | None:
        """Says how the next request is broken, or None."""
        with self._lock:
            if self.only not in path:
                return None
            self.requests += 1
            due = self.every and self.requests % self.every == 0 and self.requests <= self.up_after
            if not due and self.requests <= self.down_after:
                return None
            self.broken.append(next(self._faults))
            return self.broken[-1]


@contextlib.contextmanager
def serving(proxy: FaultyProxy) -> Iterator[str]:
    """Runs a proxy; yields its address."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_) -> None:
        """A client that gives up is what is wanted here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        self.proxy.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        fault = self.proxy.fault(self.path)
        if fault == "cut":
            self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
            self._break_off()
            return
        body = self._body()
        if fault and fault.isdecimal():
            self._answer(int(fault), [("Retry-After", "0")], self.proxy.body)
            return
        if fault == "stall":
            time.sleep(self.proxy.stall)
        if fault in ("reset", "stall"):
            self._break_off()
            return
        self.proxy.before(self.command, self.path, body)
        upstream = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        upstream.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k not in _HOP})
        reply = upstream.getresponse()
        content = reply.read()
        upstream.close()
        if fault == "lost":
            self._break_off()
            return
        headers = [
            (k, v) for k, v in reply.getheaders() if k.lower() not in ("connection", "transfer-encoding", "date")
        ]
        self._answer(reply.status, headers, content, half=fault == "half")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, half: bool = False) -> None:
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(content)))
        if half and not content:
            self._break_off()
            return
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self._break_off()

    def _break_off(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # a reset, no farewell
            self.connection.close()
        self.close_connection = True
        self.wfile = _Nowhere()

    def log_message(self, *_) -> None:
        pass


class _Nowhere:
    """Takes what the base class still wants to write after the connection was broken."""

    closed = False

    def write(self, content) -> int:
        return len(content)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


_HOP = ("Connection", "Transfer-Encoding", "Content-Length", "Keep-Alive", "Expect")
