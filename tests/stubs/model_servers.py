"""The model servers that do not speak OpenAI's protocol, on one loopback port: Anthropic's Messages API, Ollama,
Google's Gemini API, Replicate, Azure's deployments, and the embedding interfaces of Cohere, Voyage, Jina, Hugging Face.

One `Script` means the same for all of them (see `openai_server`); `root` is the address that their paths hang below.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.stubs.openai_server import (
    Lie,
    OpenAIStub,
    Recorded,
    Script,
    Send,
    _count,
    _send,
    _send_error,
    _tokens,
    _twist,
    _vector,
)

Pieces = Sequence[bytes]


class ModelStub(OpenAIStub):
    """All of them. `predictions` holds how often Replicate's clients still hear that theirs is being made."""

    def __init__(self, *, dimension: int = 8) -> None:
        super().__init__(dimension=dimension)
        self.root = f"http://127.0.0.1:{self.port}"
        self.predictions: dict[str, tuple[int, dict[str, Any]]] = {}
        self.cancelled: list[str] = []

    async def _answer(self, recorded: Recorded, script: Script, send: Send) -> None:
        found = next((made for shape, made in ROUTES if re.fullmatch(shape, recorded.path)), None)
        if found is None:
            await super()._answer(recorded, script, send)
            return
        if script.hang:
            await asyncio.Event().wait()
        if script.first_delay:
            await asyncio.sleep(script.first_delay)
        if script.status != 200:
            await _send_error(script, send)
        elif script.lie is Lie.EMPTY_OBJECT:
            await _send(send, 200, b"{}")
        else:
            await getattr(self, found)(recorded, script, send)

    async def _azure_chat(self, recorded: Recorded, script: Script, send: Send) -> None:
        await self._chat(recorded, script, send)

    async def _azure_embeddings(self, recorded: Recorded, script: Script, send: Send) -> None:
        await self._embeddings({"model": "m", **recorded.body}, script, send)

    async def _plain_embeddings(self, recorded: Recorded, script: Script, send: Send) -> None:
        await self._embeddings(recorded.body, script, send)

    async def _anthropic(self, recorded: Recorded, script: Script, send: Send) -> None:
        body = recorded.body
        reply = _reply(script, body["messages"])
        usage = {"input_tokens": _count(body["messages"]), "output_tokens": len(_tokens(reply))}
        reason = "refusal" if script.finish_reason == "content_filter" else "tool_use" if script.calls else "end_turn"
        blocks: list[dict[str, Any]] = []
        if script.thought:
            blocks.append({"type": "thinking", "thinking": script.thought, "signature": "s"})
        if reply:
            blocks.append({"type": "text", "text": reply})
        for number, call in enumerate(script.calls, 1):
            given = json.loads(call.input or "{}") if isinstance(call.input, str) else dict(call.input)
            blocks.append({"type": "tool_use", "id": f"toolu_{number}", "name": call.name, "input": given})
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
        if not body.get("stream"):
            whole = {**message, "content": blocks, "stop_reason": reason, "usage": usage}
            await _send_json(send, whole, script)
            return
        began = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        head = [_event("message_start", {"message": began})]
        tail = [_event("message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage})]
        tail.append(_event("message_stop", {}))
        pieces: list[bytes] = []
        for index, block in enumerate(blocks):
            pieces += _anthropic_block(index, block)
        broken = b'event: content_block_delta\ndata: {"type": "content\n\n'
        await _stream(recorded, script, send, head, pieces, tail, broken=broken)

    async def _ollama(self, recorded: Recorded, script: Script, send: Send) -> None:
        body = recorded.body
        reply = _reply(script, body["messages"])
        about = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z"}
        usage = {"prompt_eval_count": _count(body["messages"]), "eval_count": len(_tokens(reply))}
        done = {"done": True, "done_reason": "stop", **(usage if script.usage else {})}
        if body.get("stream") is False:
            await _send_json(send, {**about, "message": {"role": "assistant", "content": reply}, **done}, script)
            return

        def line(content: str, **more: Any) -> bytes:
            message = {"role": "assistant", "content": content, **more}
            return json.dumps({**about, "message": message, "done": False}).encode() + b"\n"

        head = [line("", thinking=script.thought)] if script.thought else []
        pieces = [line(token) for token in _tokens(reply)]
        tail = [json.dumps({**about, "message": {"role": "assistant", "content": ""}, **done}).encode() + b"\n"]
        await _stream(recorded, script, send, head, pieces, tail, kind=b"application/x-ndjson", broken=b'{"mess\n')

    async def _google(self, recorded: Recorded, script: Script, send: Send) -> None:
        body = recorded.body
        texts = [part.get("text", "") for content in body["contents"] for part in content["parts"]]
        reply = _reply(script, [{"content": text} for text in texts])
        usage = {"promptTokenCount": _count(texts), "candidatesTokenCount": len(_tokens(reply))}
        usage["totalTokenCount"] = sum(usage.values())
        reason = "SAFETY" if script.finish_reason == "content_filter" else "STOP"
        thought = [{"text": script.thought, "thought": True}] if script.thought else []

        def answer(parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
            candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
            if last:
                candidate["finishReason"] = reason
            return {"candidates": [candidate], "modelVersion": "gemini-stub", "usageMetadata": usage if last else None}

        if not recorded.path.endswith("streamGenerateContent"):
            await _send_json(send, answer([*thought, {"text": reply}], last=True), script)
            return

        def event(data: Mapping[str, Any]) -> bytes:
            return f"data: {json.dumps({k: v for k, v in data.items() if v is not None})}\r\n\r\n".encode()

        head = [event(answer(thought, last=False))] if thought else []
        tokens = _tokens(reply)
        pieces = [event(answer([{"text": token}], last=False)) for token in tokens]
        await _stream(recorded, script, send, head, pieces, [event(answer([{"text": ""}], last=True))])

    async def _replicate(self, recorded: Recorded, script: Script, send: Send) -> None:
        reply = _reply(script, [{"content": recorded.body["input"]["prompt"]}])
        tokens = _tokens(reply)
        identifier = f"p{len(self.predictions)}"
        failed = script.finish_reason == "failed"
        asked = _count([recorded.body["input"]["prompt"]])
        done = {
            "id": identifier,
            "status": "failed" if failed else "succeeded",
            "output": None if failed else tokens,
            "error": "the model broke down" if failed else None,
            "metrics": {"input_token_count": asked, "output_token_count": len(tokens)},
        }
        looks = int(script.token_delay > 0) * 2
        self.predictions[identifier] = (looks, done)
        first = {"id": identifier, "status": "processing", "output": None} if looks else done
        await _send_json(send, first, script)

    async def _replicate_look(self, recorded: Recorded, script: Script, send: Send) -> None:
        identifier = recorded.path.rpartition("/")[2]
        looks, done = self.predictions[identifier]
        self.predictions[identifier] = (looks - 1, done)
        await _send_json(send, done if looks <= 1 else {"id": identifier, "status": "processing"}, script)

    async def _replicate_cancel(self, recorded: Recorded, script: Script, send: Send) -> None:
        self.cancelled.append(recorded.path.split("/")[-2])
        await _send(send, 200, b"{}")

    def _rows(self, texts: Sequence[str], script: Script, dimension: int | None = None) -> list[list[float]]:
        rows = [_vector(text, dimension or self.dimension) for text in texts]
        _twist(rows, script.lie)
        return rows

    async def _ollama_embed(self, recorded: Recorded, script: Script, send: Send) -> None:
        await _send_json(send, {"embeddings": self._rows(recorded.body["input"], script)}, script)

    async def _cohere_embed(self, recorded: Recorded, script: Script, send: Send) -> None:
        await _send_json(send, {"id": "e", "embeddings": {"float": self._rows(recorded.body["texts"], script)}}, script)

    async def _google_embed(self, recorded: Recorded, script: Script, send: Send) -> None:
        texts = [item["content"]["parts"][0]["text"] for item in recorded.body["requests"]]
        rows = [{"values": row} for row in self._rows(texts, script)]
        await _send_json(send, {"embeddings": rows}, script)

    async def _huggingface_embed(self, recorded: Recorded, script: Script, send: Send) -> None:
        await _send_json(send, self._rows(recorded.body["inputs"], script), script)


ROUTES = (
    (r"/v1/messages", "_anthropic"),
    (r"/api/chat", "_ollama"),
    (r"/api/embed", "_ollama_embed"),
    (r"/v1beta/models/[^/]+:(streamG|g)enerateContent", "_google"),
    (r"/v1beta/models/[^/]+:batchEmbedContents", "_google_embed"),
    (r"/openai/deployments/[^/]+/chat/completions|/v1/ai/v1/chat/completions", "_azure_chat"),
    (r"/openai/deployments/[^/]+/embeddings", "_azure_embeddings"),
    (r"(/v1)?/models/[^/]+/[^/]+/predictions|(/v1)?/predictions", "_replicate"),
    (r"(/v1)?/predictions/[^/]+/cancel", "_replicate_cancel"),
    (r"(/v1)?/predictions/[^/]+", "_replicate_look"),
    (r"/v2/embed", "_cohere_embed"),
    (r".*/pipeline/feature-extraction|/tei", "_huggingface_embed"),
)


def _reply(script: Script, messages: Sequence[Mapping[str, Any]]) -> str:
    reply = script.reply if isinstance(script.reply, str) else script.reply(messages)
    return "" if script.calls and reply == Script().reply else reply


def _anthropic_block(index: int, block: Mapping[str, Any]) -> list[bytes]:
    kind = block["type"]
    if kind == "text":
        start, deltas = {**block, "text": ""}, [{"type": "text_delta", "text": part} for part in _tokens(block["text"])]
    elif kind == "thinking":
        start = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": part} for part in _tokens(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": "s"})
    else:
        start = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    begin = _event("content_block_start", {"index": index, "content_block": start})
    pieces = [_event("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
    return [begin + pieces[0], *pieces[1:], _event("content_block_stop", {"index": index})]


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


async def _stream(
    recorded: Recorded,
    script: Script,
    send: Send,
    head: Pieces,
    pieces: Pieces,
    tail: Pieces,
    *,
    kind: bytes = b"text/event-stream",
    broken: bytes = b'data: {"cand\n\n',
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for piece in head:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    for number, piece in enumerate(pieces):
        if script.stop_after == number:
            return
        if script.lie is Lie.NOT_JSON and number == 2:
            await send({"type": "http.response.body", "body": broken, "more_body": True})
        if script.token_delay and number:
            await asyncio.sleep(script.token_delay)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        recorded.tokens_sent += 1
    for piece in tail:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_json(send: Send, body: Any, script: Script) -> None:
    content = json.dumps(body).encode()
    await _send(send, 200, content[:-20] if script.lie is Lie.NOT_JSON else content)
