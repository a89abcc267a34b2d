"""`ragstone store`: which document stores there are; one out into an archive, an archive in as a new one, another
embedding or place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.exits import EPILOG, CommandError, UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import print_json, print_table, say

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List document stores, move them, and give them another embedding or vector store.",
    epilog=EPILOG,
)

PACKED = (".gz", ".tgz")
"""Names of archives that are packed."""


DEFAULT = "default"
"""What a component is called that a document store leaves to the service."""


@app.command("list", epilog=EPILOG)
def list_stores(
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List document stores, the one changed last first, with what they hold and where their vectors are."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        stores = [_told(store) for store in client.get("/document-store/store")]
    if as_json:
        print_json(stores)
        return
    columns = ("name", "id", "status", "documents", "chunks", "vector store", "embedding")
    print_table(
        columns, [[f"{cell:,}" if isinstance(cell, int) else cell for cell in each.values()] for each in stores]
    )
    if not stores:
        say("There are no document stores.")


def _told(store: Mapping[str, Any]) -> dict[str, Any]:
    """What the list says of a document store, in the order of its columns."""
    return {
        "name": store["name"],
        "id": store["id"],
        "status": store["status"],
        "documents": sum(len(loader["files"]) for loader in store["loaders"]),
        "chunks": store["totalChunks"],
        "vectorStore": (store["vectorStoreConfig"] or {}).get("name") or DEFAULT,
        "embedding": (store["embeddingConfig"] or {}).get("name") or DEFAULT,
    }


@app.command("export", epilog=EPILOG)
def export_store(
    store: Annotated[str, typer.Argument(help="Name or id of the document store.")],
    file: Annotated[Path, typer.Argument(help="Archive to write; packed when it ends in .gz or .tgz.", metavar="FILE")],
    vectors: Annotated[bool, typer.Option(help="With the vectors; without, an import embeds again.")] = True,
    blobs: Annotated[bool, typer.Option(help="With the uploaded files.")] = True,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a document store into one file: documents, chunks, vectors, uploads, no credentials."""
    from service.cli.client import connect, need

    flags = {"vectors": vectors, "blobs": blobs, "gzip": file.suffix.lower() in PACKED}
    with connect(data, url, key) as client:
        found = need(client.store(store), "document store", store)
        size = client.download(f"/document-store/store/{found['id']}/export", flags, file)
    if as_json:
        print_json({"storeId": found["id"], "store": found["name"], "file": str(file), "bytes": size})
    else:
        print_table(("document store", "file", "bytes"), [(found["name"], file, f"{size:,}")])


@app.command("import", epilog=EPILOG)
def import_store(
    file: Annotated[Path, typer.Argument(help="Archive that an export wrote.", metavar="FILE")],
    name: Annotated[
        str | None, typer.Option(help="Name of the new document store.", show_default="as in the archive")
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new document store of an archive. One that is damaged is refused and leaves nothing behind."""
    from service.cli.client import connect
    from service.cli.uploads import follow

    if not file.is_file():
        raise UsageProblem(f"there is no file {file}")
    with connect(data, url, key) as client:
        client.get("/document-store/store", page=1, limit=1)  # a key that is refused is told before all is sent
        job = client.send_file("/document-store/import", {"name": name} if name is not None else {}, file)
        ended = follow(client, job)
        if ended["state"] == "done" and ended["result"].get("fillJobId"):
            say(f"{ended['result']['numEmbedded']} chunks came without vectors and are embedded now.")
            filled = follow(client, f"/jobs/{ended['result']['fillJobId']}")
            if filled["state"] != "done":
                say(f"They could not be embedded: {_reason(filled)}")
    if ended["state"] != "done":
        raise CommandError(_reason(ended))
    result = ended["result"]
    if as_json:
        print_json(result)
        return
    columns = ("document store", "id", "documents", "chunks", "files")
    counts = [f"{result[count]:,}" for count in ("numDocuments", "numChunks", "numBlobs")]
    print_table(columns, [(result["name"], result["storeId"], *counts)])
    if result["credentials"]:
        say("These had a credential, which archives do not hold; give them one: " + ", ".join(result["credentials"]))


@app.command("reindex", epilog=EPILOG)
def reindex_store(
    store: Annotated[str, typer.Argument(help="Name or id of the document store.")],
    embedding: Annotated[
        str | None,
        typer.Option(help="Embedding to change to, as openAIEmbeddings.", show_default="the configured"),
    ] = None,
    config: Annotated[
        str, typer.Option(help='Its fields as JSON, such as {"modelName": "text-embedding-3-small"}.')
    ] = "{}",
    vector_store: Annotated[
        str | None, typer.Option(help="Vector store to move to, as chroma.", show_default="the configured")
    ] = None,
    vector_config: Annotated[
        str, typer.Option(help='Its fields as JSON, such as {"chromaURL": "http://chroma.example:8000"}.')
    ] = "{}",
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make all vectors of a document store anew, or move them to another vector store as they are. Queries are answered
    from the old ones until the new are complete; cancelling the job leaves the old ones whole."""
    from service.cli.client import connect, need
    from service.cli.uploads import follow

    fields, place = _fields(config, "--config"), _fields(vector_config, "--vector-config")
    if fields and not embedding:
        raise UsageProblem("--config needs --embedding: these are the fields of that embedding")
    if place and not vector_store:
        raise UsageProblem("--vector-config needs --vector-store: these are the fields of that vector store")
    with connect(data, url, key) as client:
        found = need(client.store(store), "document store", store)
        named: dict[str, Any] = {"embeddingName": embedding, "embeddingConfig": fields} if embedding else {}
        if vector_store:
            named |= {"vectorStoreName": vector_store, "vectorStoreConfig": place}
        job = client.post("/document-store/vectorstore/reindex", {"storeId": found["id"], **named})
        ended = job if detach else follow(client, f"/jobs/{job['id']}")
    if not detach and ended["state"] != "done":
        raise CommandError(_reason(ended))
    if as_json:
        print_json(ended)
    elif detach:
        say(f"Job {job['id']} re-indexes {found['name']}; follow it with `ragstone jobs watch {job['id']}`.")
    else:
        result = ended["result"]
        print_table(
            ("document store", "embedding", "vector store", "chunks"),
            [(found["name"], result["embedding"], result["vectorStore"], f"{result['numIndexed']:,}")],
        )


def _fields(text: str, option: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"{option} is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise UsageProblem(f"{option} must be a JSON object")
    return fields


def _reason(job: dict[str, Any]) -> str:
    return str((job["error"] or {}).get("message") or f"the job ended as {job['state']}")
