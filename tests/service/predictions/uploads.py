"""Files for predictions: the smallest of each kind, and uploads as clients write them."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from tests.service.chatflows.flows import edge, graph, node, openai

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"
WEBM = b"\x1aE\xdf\xa3" + bytes(40)
NOTE = b"The door code of the archive is 4711.\n\nThe archive closes at six.\n"


def uri(content: bytes, mime: str = "application/octet-stream") -> str:
    """A data URI."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def upload(kind: str, name: str, content: bytes | str, mime: str = "") -> dict[str, Any]:
    """An upload as the widget writes it."""
    data = content if isinstance(content, str) else uri(content, mime or "application/octet-stream")
    return {"type": kind, "name": name, "data": data, "mime": mime}


def picture(name: str = "cat.png", content: bytes = PNG, mime: str = "image/png") -> dict[str, Any]:
    """A picture."""
    return upload("file", name, content, mime)


def note(name: str = "note.txt", content: bytes = NOTE) -> dict[str, Any]:
    """A text."""
    return upload("file", name, content, "text/plain")


def chain(url: str, *, sees: bool = True, model: dict[str, Any] | None = None, **inputs: Any) -> str:
    """A flow of one prompt and a model."""
    model = model or openai(url, **({"allowImageUploads": True} if sees else {}), **inputs)
    prompt = node("prompt_0", "promptTemplate", "Prompts", {"template": "Say: {question}"})
    ending = node("chain_0", "llmChain", "Chains")
    edges = [edge(model["id"], "chain_0", "model"), edge("prompt_0", "chain_0", "prompt")]
    return graph([model, prompt, ending], edges)


def talk(url: str, **inputs: Any) -> str:
    """A flow that remembers."""
    model = openai(url, allowImageUploads=True, **inputs)
    memory = node("memory_0", "bufferMemory", "Memory", label="Buffer Memory")
    ending = node("chain_0", "conversationChain", "Chains")
    edges = [edge(model["id"], "chain_0", "model"), edge("memory_0", "chain_0", "memory")]
    return graph([model, memory, ending], edges)


def speech(service: str = "openAIWhisper", **fields: Any) -> str:
    """A flow's `speechToText`."""
    entry: Mapping[str, Any] = {"status": True, **fields}
    return json.dumps({service: entry, "none": {"status": False}})
