"""`ragstone search`: the chunks of a document store that answer a query, and on demand how they were found."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from service.cli.exits import UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json, print_table, print_text

app = typer.Typer(add_completion=False)

SHOWN = 10
"""Chunks of each stage that an explanation lists."""


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    store: Annotated[str, typer.Option(help="Name or id of the document store.")],
    k: Annotated[
        int | None, typer.Option("-k", help="How many chunks; default: as the store is configured.", min=1, max=1000)
    ] = None,
    where: Annotated[
        str | None, typer.Option(help='Metadata filter as JSON, such as {"page": {"$gte": 2}}.', metavar="JSON")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="One stage of retrieval with its default options, such as hybrid or mmr.")
    ] = None,
    retrieval: Annotated[
        str | None,
        typer.Option(help='Stages of retrieval as JSON, such as [{"name": "mmr", "lambda": 0.7}].', metavar="JSON"),
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option("--as", help="Find only what this principal may find, such as user:anna; repeat it."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print what every stage found and left out.")] = False,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a document store and print the chunks that were found, best first."""
    from service.cli.client import connect, need

    body: dict[str, Any] = {"query": query}
    if k is not None:
        body["topK"] = k
    if where is not None:
        body["filter"] = _json("--where", where)
    if strategy is not None:
        body["strategy"] = strategy
    if retrieval is not None:
        body["retrieval"] = _json("--retrieval", retrieval)
    if explain:
        body["explain"] = True
    if principal:
        body["principals"] = principal
    with connect(data, url, key) as client:
        found = need(client.store(store), "document store", store)
        body["storeId"] = found["id"]
        result = client.post("/document-store/vectorstore/query", body)
    if as_json:
        print_json(result)
        return
    for number, chunk in enumerate(result["docs"], 1):
        print_text(f"{number}. {chunk['score']:.3f}  {place_of(chunk['metadata'])}")
        print_text("   " + excerpt(chunk["pageContent"], 240))
    if not result["docs"]:
        blind = found.get("restricted") and not principal
        print_text("Nothing was found." + (" The document store is restricted: say for whom by --as." if blind else ""))
    if explain:
        print_trace(result["trace"])


def print_trace(trace: Mapping[str, Any]) -> None:
    """Every stage of a search: its time, the questions, what it handed on and what it left out."""
    chunks = {chunk["number"]: chunk for chunk in trace["chunks"]}
    for number, stage in enumerate(trace["stages"], 1):
        print_text(f"\nStage {number}: {stage['name']}, {stage['milliseconds']:.1f} ms{_details(stage)}")
        for question in stage["questions"]:
            print_text(f"  ? {excerpt(question, 160)}")
        if stage["candidates"] and stage["name"] != "ledger":  # which hands on what the search found
            print_table(("", "score", "made of", "chunk", "text"), _handed_on(stage["candidates"], chunks))
            if (more := len(stage["candidates"]) - SHOWN) > 0:
                print_text(f"… and {more} more")
        if stage["cut"]:
            print_table(("left out", "why", "best score", "chunk"), _left_out(stage["cut"], chunks))
    if not trace["stages"]:
        print_text("\nNothing was searched: the document store holds nothing that could be found.")


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


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{option}: not valid JSON: {error}") from None


def _details(stage: Mapping[str, Any]) -> str:
    times = [f"{name} {value:.1f} ms" for name, value in stage["times"].items()]
    facts = [
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in stage["facts"].items()
        if value not in (None, "")
    ]
    return f" ({', '.join([*times, *facts])})" if times or facts else ""


def _handed_on(candidates: Sequence[Mapping[str, Any]], chunks: Mapping[int, Any]) -> Iterator[Sequence[object]]:
    for place, item in enumerate(candidates[:SHOWN], 1):
        parts = "  ".join(f"{name} {value:.3f}" for name, value in item["parts"].items())
        yield (place, f"{item['score']:.3f}", parts, *_chunk(item, chunks))


def _left_out(cut: Sequence[Mapping[str, Any]], chunks: Mapping[int, Any]) -> Iterator[Sequence[object]]:
    """A line for each reason, with the best chunk that was left out for it."""
    for reason in dict.fromkeys(item["reason"] for item in cut):
        items = [item for item in cut if item["reason"] == reason]
        best = max(items, key=lambda item: float(item["score"]))
        yield (len(items), reason, f"{best['score']:.3f}", _chunk(best, chunks)[0])


def _chunk(item: Mapping[str, Any], chunks: Mapping[int, Any]) -> tuple[str, str]:
    chunk = chunks.get(item["number"])
    if chunk is None:
        return f"#{item['number']}", ""
    return place_of(chunk), excerpt(chunk["excerpt"], 60)
