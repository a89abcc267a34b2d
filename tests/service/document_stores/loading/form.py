"""What forms say to loaders, in short."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.service.document_stores.talk import API, PASSAGES

File = tuple[str, bytes | str]


def data_uri(name: str, content: bytes | str, mime: str = "text/plain") -> str:
    """A file as forms send it."""
    data = content.encode() if isinstance(content, str) else content
    return f"data:{mime};base64,{base64.b64encode(data).decode()},filename:{name}"


def text_files(*files: File) -> dict[str, str]:
    """The configuration of a `textFile` with files."""
    values = [data_uri(*file) for file in files]
    return {"txtFile": values[0] if len(values) == 1 else json.dumps(values)}


def loader(component: str = "textFile", config: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A loader as a form gives it, with the splitter that cuts passages apart."""
    return {
        "loaderId": component,
        "loaderConfig": dict(config or {}),
        "splitterId": PASSAGES["name"],
        "splitterConfig": PASSAGES["config"],
        **fields,
    }


async def call(client: httpx.AsyncClient, path: str, body: Any, status: int = 200, **options: Any) -> Any:
    """What a POST answers, whose status must be this one."""
    response = await client.post(f"{API}/{path}", json=body, **options)
    assert response.status_code == status, response.text
    return response.json()
