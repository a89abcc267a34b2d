"""`ragstone ask`: a question to a chatflow, the answer as it is written, and its sources."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.exits import UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json, print_text

if TYPE_CHECKING:
    from service.cli.client import Client

app = typer.Typer(add_completion=False)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    chatflow: Annotated[str | None, typer.Option(help="Name or id of the chatflow that answers.")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help='Name or id of the document store to answer from, by the chatflow "Ask NAME", made on demand.'
        ),
    ] = None,
    session: Annotated[str | None, typer.Option(help="Conversation to go on with; any text.")] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option("--as", help="Answer from what this principal may find, such as user:anna; repeat it."),
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a question; prints the answer as it is written, then its numbered sources."""
    from service.cli.client import connect, need
    from service.cli.flows import ensure_flow

    if (chatflow is None) == (store is None):
        raise UsageProblem("name one of --chatflow and --store")
    with connect(data, url, key) as client:
        if chatflow is not None:
            flow = need(client.chatflow(chatflow), "chatflow", chatflow)
        else:
            found = need(client.store(store or ""), "document store", store or "")
            flow = ensure_flow(client, f"Ask {found['name']}", found["id"])
        body: dict[str, Any] = {"question": question} | (
            {"overrideConfig": {"sessionId": session}, "chatId": session} if session else {}
        )
        if principal:
            body["principals"] = principal
        if as_json:
            print_json(client.post(f"/prediction/{flow['id']}", body))
        else:
            print_answer(client, str(flow["id"]), body)


def print_answer(client: "Client", flow_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask, print the answer on stdout while it is written, then its sources. Raises `CommandError` when it fails. Gives
    the answer's `chatId`, and the `action` that an agentflow waits for."""
    sources: Sequence[Mapping[str, Any]] = ()
    about: dict[str, Any] = {}
    for event, payload in client.events(f"/prediction/{flow_id}", {**body, "streaming": True}):
        if event == "token":
            print_text(payload, end="")
        elif event == "sourceDocuments":
            sources = payload or ()
        elif event == "action":
            about["action"] = payload
        elif event == "metadata":
            about["chatId"] = payload["chatId"]
        elif event == "answer":  # of a flow that cannot stream
            written = json.dumps(payload.get("json"), ensure_ascii=False, indent=2)
            print_text(str(payload.get("text", written)), end="")
            sources = payload.get("sourceDocuments") or ()
            about.update(payload)
    print()
    if sources:
        print("\nSources")
    for number, source in enumerate(sources, 1):
        from service.cli.search import excerpt, place_of

        print_text(f"  [{number}] {place_of(source['metadata'])}")
        print_text(f"      {excerpt(source['pageContent'], 160)}")
    return about
