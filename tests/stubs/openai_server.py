"""An OpenAI-compatible model server on loopback that answers, hangs, fails and lies on demand.

In a test::

    with OpenAIStub() as stub:
        stub.script(Script(status=429, retry_after=1.0))        # the next request
        stub.script(Script(reply="Hello", token_delay=0.2), times=None)   # all after it
        ... base URL: stub.url ...
        stub.requests[-1].body, .disconnected, .ended

As its own process, for benchmarks: `python -m tests.stubs.openai_server --port 8100` (prints its URL).
Routes: `/v1/chat/completions` (plain and streamed, with usage), `/v1/embeddings` (lists and base64), `/v1/models`,
`/v1/audio/transcriptions` (the scripted reply as what was said; the form's parts are the recorded body).
"""

import argparse
import asyncio
import base64
import email
import hashlib
import json
import math
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import uvicorn

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.providers.defaults import Defaults

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

KEY = "sk-stub-0123456789"
MODEL = "stub-model"
REPLY = "The stub has an answer. It comes in two sentences."
JSON_TYPE = (b"content-type", b"application/json")


def near(defaults: Defaults | None = None) -> Defaults:
    """These defaults with a way to this machine; the connections close with the provider that uses them."""
    return replace(defaults or Defaults(), egress=Egress(parse_allowed("127.0.0.1")))


class Lie(StrEnum):
    """Answers that look like success and are not."""

    NOT_JSON = "not json"
    """The body, or the second event of a stream, is cut-off JSON."""
    EMPTY_OBJECT = "empty object"
    """A body of `{}`."""
    WRONG_COUNT = "wrong count"
    """One embedding too few."""
    WRONG_DIMENSION = "wrong dimension"
    """Every embedding is one number longer than agreed."""
    UNEVEN = "uneven"
    """The last embedding is shorter than the others."""
    NAN = "nan"
    """An embedding holds NaN."""
    ZERO = "zero"
    """An embedding is all zeros."""
    SHUFFLED = "shuffled"
    """Embeddings come in reverse order, with their true `index`: allowed by the protocol."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a tool in an answer."""

    name: str
    input: Mapping[str, Any] | str = ""
    """An object, or the text that stands in its place, however broken."""
    id: str | None = ""
    """Empty: one is made; None: it has none, as with some servers."""

    def written(self, number: int) -> dict[str, Any]:
        """As the protocol has it."""
        text = self.input if isinstance(self.input, str) else json.dumps(self.input)
        shown = {"type": "function", "function": {"name": self.name, "arguments": text}}
        return shown if self.id is None else {"id": self.id or f"call_stub_{number}", **shown}


@dataclass(frozen=True, slots=True)
class Script:
    """How to answer a request. The default answers well and at once."""

    reply: str | Callable[[Sequence[Mapping[str, Any]]], str] = REPLY
    """The chat answer, or a function from the messages to it; streamed word by word."""
    calls: Sequence[Called] = ()
    """Tools that the answer calls; it says nothing else then, unless `reply` is given."""
    thought: str = ""
    """What the model thinks aloud before it answers, where the protocol has a place for it."""
    thought_in: str = "reasoning_content"
    """The field that holds it, with services that add one to OpenAI's protocol."""
    status: int = 200
    """Another status answers with an error body of OpenAI's shape."""
    error_code: str = "stub_error"
    retry_after: float | None = None
    """Seconds, sent as `Retry-After` with an error."""
    hang: bool = False
    """Send nothing until the client goes away."""
    first_delay: float = 0.0
    """Seconds before the first byte."""
    token_delay: float = 0.0
    """Seconds before each further token of a stream."""
    stop_after: int | None = None
    """Break the connection after so many tokens of a stream (0: after the headers)."""
    finish_reason: str = "stop"
    flagged: bool = False
    """Whether a moderation forbids the text."""
    usage: bool = True
    """Whether the answer counts tokens; streams do so only when asked by `stream_options`."""
    lie: Lie | None = None
    base64_allowed: bool = True
    """False: embeddings come as lists even when base64 is asked for, as some servers do."""


@dataclass(slots=True)
class Recorded:
    """A request as it came, and how it ended."""

    path: str
    headers: dict[str, str]
    body: Any
    began: float
    ended: float | None = None
    """`time.monotonic()` of the end; None while it is being answered."""
    disconnected: bool = False
    """The client went away before the answer was complete."""
    tokens_sent: int = 0


@dataclass(slots=True)
class _Scripts:
    waiting: deque[tuple[Script, int | None]] = field(default_factory=deque)

    def next(self) -> Script:
        while self.waiting:
            script, times = self.waiting[0]
            if times is None:
                if len(self.waiting) > 1:
                    self.waiting.popleft()
                    continue
                return script
            self.waiting.popleft()
            if times > 0:
                if times > 1:
                    self.waiting.appendleft((script, times - 1))
                return script
        return Script()


class OpenAIStub:
    """The server, in a thread of this process; a context manager. `url` is the base URL with `/v1`."""

    def __init__(self, *, dimension: int = 8, port: int = 0) -> None:
        """`dimension` of embeddings where the request asks for none; `port` 0 takes a free one."""
        self.dimension = dimension
        self.requests: list[Recorded] = []
        self._scripts = _Scripts()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        config = uvicorn.Config(self, log_level="critical", access_log=False, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def script(self, script: Script, *, times: int | None = 1) -> None:
        """Answer the next `times` requests so; None: all until another script is given."""
        self._scripts.waiting.append((script, times))

    def reset(self) -> None:
        """Forget scripts and requests."""
        self._scripts.waiting.clear()
        self.requests.clear()

    def wait_until_asked(self, *, seconds: float = 10.0) -> Recorded:
        """The last request, once there is one; `TimeoutError` after `seconds`."""
        return self._wait(lambda: bool(self.requests), -1, seconds)

    def wait_until_ended(self, index: int = -1, *, seconds: float = 10.0) -> Recorded:
        """The request `index` once its answer ended or was given up; `TimeoutError` after `seconds`."""
        return self._wait(lambda: bool(self.requests) and self.requests[index].ended is not None, index, seconds)

    def _wait(self, done: Callable[[], bool], index: int, seconds: float) -> Recorded:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("the stub still waits")
            time.sleep(0.005)
        return self.requests[index]

    def serve(self) -> None:
        """Answer on the calling thread until the process is told to end."""
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve, name="openai-stub", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the stub did not start")
            time.sleep(0.002)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread:
            self._thread.join()
        self._socket.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        content = await _read(receive)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        recorded = Recorded(scope["path"], headers, _body(headers, content), time.monotonic())
        self.requests.append(recorded)
        script = self._scripts.next()
        answer = asyncio.ensure_future(self._answer(recorded, script, send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            recorded.disconnected = not answer.done()
            if answer.done():
                answer.result()
        finally:
            answer.cancel()
            gone.cancel()
            recorded.ended = time.monotonic()

    async def _answer(self, recorded: Recorded, script: Script, send: Send) -> None:
        if script.hang:
            await asyncio.Event().wait()
        if script.first_delay:
            await asyncio.sleep(script.first_delay)
        if script.status != 200:
            await _send_error(script, send)
        elif script.lie is Lie.EMPTY_OBJECT:
            await _send(send, 200, b"{}")
        elif recorded.path == "/v1/chat/completions":
            await self._chat(recorded, script, send)
        elif recorded.path == "/v1/embeddings":
            await self._embeddings(recorded.body, script, send)
        elif recorded.path == "/v1/audio/transcriptions":
            words = script.reply if isinstance(script.reply, str) else script.reply([])
            await _send(send, 200, json.dumps({"text": words}).encode()[: -5 if script.lie is Lie.NOT_JSON else None])
        elif recorded.path == "/v1/moderations":
            result = {"flagged": script.flagged, "categories": {}, "category_scores": {}}
            body = {"id": "modr-stub", "model": recorded.body["model"], "results": [result]}
            await _send(send, 200, json.dumps(body).encode())
        elif recorded.path == "/v1/models":
            models = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "stub"}]}
            await _send(send, 200, json.dumps(models).encode())
        else:
            await _send_error(Script(status=404, error_code="not_found"), send)

    async def _chat(self, recorded: Recorded, script: Script, send: Send) -> None:
        messages = recorded.body["messages"]
        reply = script.reply if isinstance(script.reply, str) else script.reply(messages)
        calls = [call.written(number) for number, call in enumerate(script.calls, 1)]
        if calls:
            reply = "" if reply == REPLY else reply
            script = replace(script, finish_reason="tool_calls")
        usage = {"prompt_tokens": _count(messages), "completion_tokens": len(_tokens(reply))}
        usage["total_tokens"] = sum(usage.values())
        if recorded.body.get("stream"):
            counted = script.usage and (recorded.body.get("stream_options") or {}).get("include_usage")
            await _stream(recorded, script, reply, calls, usage if counted else None, send)
            return
        message: dict[str, Any] = {"role": "assistant", "content": reply or None if calls else reply}
        if script.thought:
            message[script.thought_in] = script.thought
        if calls:
            message["tool_calls"] = calls
        body = _chat_body("chat.completion", recorded.body["model"])
        body["choices"] = [{"index": 0, "message": message, "finish_reason": script.finish_reason}]
        if script.usage:
            body["usage"] = usage
        content = json.dumps(body).encode()
        await _send(send, 200, content[:-20] if script.lie is Lie.NOT_JSON else content)

    async def _embeddings(self, body: Mapping[str, Any], script: Script, send: Send) -> None:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [_vector(str(text), body.get("dimensions") or self.dimension) for text in texts]
        _twist(vectors, script.lie)
        packed = script.base64_allowed and body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
            for index, vector in enumerate(vectors)
        ]
        if script.lie is Lie.SHUFFLED:
            data.reverse()
        count = _count(texts)
        usage = {"prompt_tokens": count, "total_tokens": count}
        content = json.dumps({"object": "list", "data": data, "model": body["model"], "usage": usage}).encode()
        await _send(send, 200, content[:-20] if script.lie is Lie.NOT_JSON else content)


async def _stream(
    recorded: Recorded,
    script: Script,
    reply: str,
    calls: Sequence[Mapping[str, Any]],
    usage: Mapping[str, int] | None,
    send: Send,
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})

    async def event(choices: list[dict[str, Any]], **more: Any) -> None:
        data = json.dumps(_chat_body("chat.completion.chunk", recorded.body["model"]) | {"choices": choices} | more)
        await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})

    if script.stop_after == 0:
        return
    await event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for token in _tokens(script.thought) if script.thought else []:
        await event([{"index": 0, "delta": {"content": None, script.thought_in: token}, "finish_reason": None}])
    for number, token in enumerate(_tokens(reply) if reply or not calls else []):
        if script.stop_after == number:
            return
        if script.lie is Lie.NOT_JSON and number == 1:
            await send({"type": "http.response.body", "body": b'data: {"choices": [{"de\n\n', "more_body": True})
        if script.token_delay and number:
            await asyncio.sleep(script.token_delay)
        await event([{"index": 0, "delta": {"content": token}, "finish_reason": None}])
        recorded.tokens_sent += 1
    for place, call in enumerate(calls):
        for piece in _call_pieces(place, call):
            if script.stop_after is not None and script.stop_after <= recorded.tokens_sent:
                return
            await event([{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}])
            recorded.tokens_sent += 1
    await event([{"index": 0, "delta": {}, "finish_reason": script.finish_reason}])
    if usage:
        await event([], usage=usage)
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


def _call_pieces(place: int, call: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The head of a call, then its input in pieces of eight characters."""
    text = call["function"]["arguments"]
    head = {**call, "index": place, "function": {"name": call["function"]["name"], "arguments": ""}}
    rest = [{"index": place, "function": {"arguments": text[at : at + 8]}} for at in range(0, len(text), 8)]
    return [head, *rest]


def _chat_body(kind: str, model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-stub", "object": kind, "created": 1, "model": model}


def _tokens(text: str) -> list[str]:
    words = text.split(" ")
    return [word if number == 0 else " " + word for number, word in enumerate(words)]


def _count(items: Sequence[Any]) -> int:
    return sum(len(str(item.get("content", "") if isinstance(item, Mapping) else item).split()) for item in items)


def _vector(text: str, dimension: int) -> list[float]:
    seed = hashlib.shake_128(text.encode()).digest(4 * dimension)
    numbers = [number / 2**31 for number in struct.unpack(f"<{dimension}i", seed)]
    norm = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / norm for number in numbers]


def _twist(vectors: list[list[float]], lie: Lie | None) -> None:
    if lie is Lie.WRONG_COUNT:
        vectors.pop()
    elif lie is Lie.WRONG_DIMENSION:
        for vector in vectors:
            vector.append(0.5)
    elif lie is Lie.UNEVEN:
        vectors[-1].pop()
    elif lie is Lie.NAN:
        vectors[0][0] = math.nan
    elif lie is Lie.ZERO:
        vectors[0] = [0.0] * len(vectors[0])


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _body(headers: Mapping[str, str], content: bytes) -> Any:
    """JSON, or the parts of a form by name: texts, and files as (name, type, bytes)."""
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        return json.loads(content) if content else None
    form: Any = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
    parts: dict[str, Any] = {}
    for part in form.get_payload():
        name, held = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        file = part.get_filename()
        parts[str(name)] = held.decode() if file is None else (file, part.get_content_type(), held)
    return parts


async def _read(receive: Receive) -> bytes:
    content = b""
    while True:
        message = await receive()
        content += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return content


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_error(script: Script, send: Send) -> None:
    body = {"error": {"message": f"The stub fails with {script.status} for key {KEY}.", "type": "stub", "param": None}}
    body["error"]["code"] = script.error_code
    headers = [] if script.retry_after is None else [(b"retry-after", f"{script.retry_after:g}".encode())]
    await _send(send, script.status, json.dumps(body).encode(), headers)


async def _send(send: Send, status: int, content: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON_TYPE, length, *headers]})
    await send({"type": "http.response.body", "body": content})


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dimension", type=int, default=8)
    parser.add_argument("--reply", default=REPLY)
    parser.add_argument("--token-delay", type=float, default=0.0)
    chosen = parser.parse_args()
    stub = OpenAIStub(dimension=chosen.dimension, port=chosen.port)
    stub.script(Script(reply=chosen.reply, token_delay=chosen.token_delay), times=None)
    stub.requests = _Forgetful()
    sys.stdout.write(stub.url + "\n")
    sys.stdout.flush()
    stub.serve()


class _Forgetful(list[Recorded]):
    """A record of requests that keeps none: a long benchmark must not grow."""

    def append(self, item: Recorded) -> None:
        """Drop it."""


if __name__ == "__main__":
    main()
