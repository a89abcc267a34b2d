"""A server on loopback that reranks as Cohere, Jina, Voyage and Azure do, and hangs, fails and lies on demand.

with RerankStub() as stub:
    stub.script(Script(status=429, retry_after=1.0))        # the next request
    ... basePath: stub.base("cohere"), key: KEY ...
    stub.requests[-1].body, .headers, .gone

A text's score is the share of the question's words that it holds. Requests with fields that the provider's published
API does not have are refused, as are wrong keys.
"""

import json
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

KEY = "rk-stub-0123456789"

PATHS = {
    "cohere": "/v2/rerank",
    "jina": "/v1/rerank",
    "voyage": "/voyage/v1/rerank",
    "azure": "/providers/cohere/v2/rerank",
}
_FIELDS = {
    "cohere": {"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"},
    "jina": {"model", "query", "documents", "top_n", "return_documents", "truncation"},
    "voyage": {"model", "query", "documents", "top_k", "return_documents", "truncation"},
    "azure": {"model", "query", "documents", "top_n", "max_tokens_per_doc"},
}


@dataclass(frozen=True)
class Script:
    """How to answer a request. The default answers well and at once."""

    status: int = 200
    said: str = "the stub says no"
    retry_after: float | None = None
    hang: bool = False
    """Send nothing until the client goes away."""
    delay: float = 0.0
    """Seconds before the answer."""
    body: bytes | None = None
    """Sent with status 200 in place of the answer."""
    scores: list[Any] | None = None
    """In place of the true scores; a value that is a tuple is (index, score)."""
    location: str = ""


@dataclass
class Recorded:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: Any
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when the client went away while it was kept waiting."""


class RerankStub:
    """The server, in a thread of this process; a context manager."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        self.requests: list[Recorded] = []
        self._scripts: deque[Script] = deque()

    def script(self, *scripts: Script) -> None:
        """Answer the next requests so, one each."""
        self._scripts.extend(scripts)

    def reset(self) -> None:
        """Forget scripts and requests."""
        self._scripts.clear()
        self.requests.clear()

    def base(self, name: str) -> str:
        """What stands before `/rerank` for a provider."""
        return self.url + PATHS[name].removesuffix("/rerank")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_until_asked(self, count: int = 1, *, seconds: float = 10.0) -> Recorded:
        """The last request, once there are so many; `TimeoutError` after `seconds`."""
        deadline = time.monotonic() + seconds
        while len(self.requests) < count:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody asks the stub")
            time.sleep(0.005)
        return self.requests[-1]

    def __enter__(self) -> Self:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                stub._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        recorded = Recorded(handler.path, headers, json.loads(handler.rfile.read(size)))
        self.requests.append(recorded)
        script = self._scripts.popleft() if self._scripts else Script()
        if script.hang:
            handler.connection.recv(1)  # returns when the client closes
            recorded.gone.set()
            handler.close_connection = True
            return
        time.sleep(script.delay)
        status, body = self._reply(recorded, script)
        handler.send_response(status)
        more = {"Retry-After": str(script.retry_after)} if script.retry_after is not None else {}
        more |= {"Location": script.location} if script.location else {}
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **more}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _reply(self, recorded: Recorded, script: Script) -> tuple[int, bytes]:
        name = next((name for name, path in PATHS.items() if path == recorded.path), None)
        said = "message" if name in ("cohere", "azure") else "detail"
        if script.status != 200:
            return script.status, json.dumps({said: script.said}).encode()
        if script.body is not None:
            return 200, script.body
        if name is None:
            return 404, b'{"detail": "Not Found"}'
        given = recorded.headers.get("api-key" if name == "azure" else "authorization", "")
        if given.removeprefix("Bearer ") != KEY:
            return 401, json.dumps({said: f"invalid key {given}"}).encode()
        if unknown := set(recorded.body) - _FIELDS[name]:
            return 422, json.dumps({said: f"unknown fields {sorted(unknown)}"}).encode()
        if not recorded.body["documents"] or not all(text.strip() for text in recorded.body["documents"]):
            return 400, json.dumps({said: "documents must not be empty"}).encode()
        return 200, json.dumps(self._ranked(name, recorded.body, script)).encode()

    def _ranked(self, name: str, body: dict[str, Any], script: Script) -> dict[str, Any]:
        scores = script.scores or [_overlap(body["query"], text) for text in body["documents"]]
        pairs = [score if isinstance(score, tuple) else (place, score) for place, score in enumerate(scores)]
        rows = [{"index": place, "relevance_score": score} for place, score in pairs]
        if script.scores is None:
            rows.sort(key=lambda row: -row["relevance_score"])
        if name == "voyage":
            return {"object": "list", "data": rows, "model": body["model"], "usage": {"total_tokens": 1}}
        if name == "jina":
            return {"model": body["model"], "usage": {"total_tokens": 1}, "results": rows}
        return {"id": "r-1", "results": rows, "meta": {"billed_units": {"search_units": 1}}}


def _overlap(query: str, text: str) -> float:
    asked = set(re.findall(r"\w+", query.lower()))
    return len(asked & set(re.findall(r"\w+", text.lower()))) / max(len(asked), 1)
