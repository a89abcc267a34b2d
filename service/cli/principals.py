"""`ragstone principals`: who may find the documents of a document store."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.exits import UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from service.cli.client import Client

app = typer.Typer(add_completion=False)

PAGE = 500
"""Documents that are asked for at a time."""


@app.command()
def principals(
    store: Annotated[str, typer.Argument(help="Name or id of the document store.")],
    document: Annotated[
        list[str] | None, typer.Option(help="Change this one: name, id or source of a document; repeat it.")
    ] = None,
    loader: Annotated[
        str | None, typer.Option(help="Change all documents of this loader (docId), those to come too.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Who may find it, such as user:anna or group:hr; repeat it.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="Everybody may find it.")] = False,
    nobody: Annotated[bool, typer.Option("--nobody", help="Nobody may find it.")] = False,
    restricted: Annotated[
        bool | None,
        typer.Option(
            "--restricted/--open", help="Whether documents without principals are found by nobody, or by everybody."
        ),
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who may find the documents of a document store, or change it; a change is in force at once."""
    from service.cli.client import connect, need

    named = _named(document or [], loader, allow or [], everybody=everybody, nobody=nobody)
    with connect(data, url, key) as client:
        found = need(client.store(store), "document store", store)
        rows = _documents(client, found["id"])
        if restricted is not None:
            client.put(f"/document-store/store/{found['id']}", {"restricted": restricted})
        if document or loader:
            changes = [{"documentId": each, "principals": named} for each in _ids(document or [], rows)]
            changes += [{"docId": loader, "principals": named}] if loader else []
            client.put(f"/document-store/principals/{found['id']}", {"changes": changes})
        if restricted is not None or document or loader:
            found, rows = need(client.store(found["id"]), "document store", store), _documents(client, found["id"])
    if as_json:
        shown = ("id", "name", "source", "loaderId", "principals")
        documents = [{field: row[field] for field in shown} for row in rows]
        print_json({"storeId": found["id"], "restricted": found["restricted"], "documents": documents})
        return
    default = "nobody" if found["restricted"] else "everybody"
    print_table(
        ("document", "source", "loader", "may be found by"),
        [(row["name"], row["source"], row["loaderId"], _told(row["principals"], default)) for row in rows],
    )
    if found["restricted"]:
        say("The document store is restricted: documents without principals are found by nobody.")


def _named(
    documents: list[str], loader: str | None, allow: list[str], *, everybody: bool, nobody: bool
) -> list[str] | None:
    """The principals to set; None: everybody."""
    said = sum((bool(allow), everybody, nobody))
    if (documents or loader) and said != 1:
        raise UsageProblem("give one of --allow, --everybody and --nobody with --document or --loader")
    if said and not (documents or loader):
        raise UsageProblem("say what to change by --document or --loader")
    return None if everybody else allow


def _documents(client: "Client", store: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = client.get(f"/document-store/documents/{store}", page=len(rows) // PAGE + 1, limit=PAGE)
        rows += page
        if len(page) < PAGE:
            return rows


def _ids(wanted: list[str], rows: list[dict[str, Any]]) -> list[str]:
    """The ids of the documents that are meant. Raises `UsageProblem` for none and for several."""
    ids = []
    for text in wanted:
        found = [row for row in rows if text in (row["id"], row["source"])] or _called(text, rows)
        if len(found) != 1:
            what = "several documents are" if found else "no document is"
            raise UsageProblem(f"{what} called {text!r}; take the id or the source that the list shows")
        ids.append(str(found[0]["id"]))
    return ids


def _called(name: str, rows: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["name"] == name]


def _told(principals: list[str] | None, default: str) -> str:
    if principals is None:
        return default
    return ", ".join(principals) or "nobody"
