"""`ragstone search`: the chunks of a document store that answer a query."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from service.cli.exits import UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json

app = typer.Typer(add_completion=False)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    store: Annotated[str, typer.Option(help="Name or id of the document store.")],
    k: Annotated[int, typer.Option("-k", help="How many chunks.", min=1, max=1000)] = 5,
    where: Annotated[
        str | None, typer.Option(help='Metadata filter as JSON, such as {"page": {"$gte": 2}}.', metavar="JSON")
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a document store and print the chunks that were found, best first."""
    from service.cli.client import connect, need

    inputs: dict[str, Any] = {"topK": k}
    if where is not None:
        try:
            inputs["filter"] = json.loads(where)
        except json.JSONDecodeError as error:
            raise UsageProblem(f"--where: not valid JSON: {error}") from None
    with connect(data, url, key) as client:
        found = need(client.store(store), "document store", store)
        body = {"storeId": found["id"], "query": query, "inputs": inputs}
        result = client.post("/document-store/vectorstore/query", body)
    if as_json:
        print_json(result)
        return
    for number, chunk in enumerate(result["docs"], 1):
        print(f"{number}. {chunk['score']:.3f}  {place_of(chunk['metadata'])}")
        print("   " + excerpt(chunk["pageContent"], 240))
    if not result["docs"]:
        print("Nothing was found.")


def place_of(metadata: Mapping[str, Any]) -> str:
    """Where a chunk comes from: its document, page and heading, as far as they are known."""
    parts = [str(metadata.get("source") or metadata.get("title") or "unknown source")]
    if (page := metadata.get("page")) is not None:
        parts.append(f"page {page}")
    if (row := metadata.get("row")) is not None:
        parts.append(f"row {row}")
    heading = metadata.get("heading")
    if heading:
        parts.append(" > ".join(map(str, heading)) if isinstance(heading, list) else str(heading))
    return ", ".join(parts)


def excerpt(text: str, limit: int) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
