"""`ragstone dataset`: the questions that evaluations ask, by the command line: in, out, drafted, accepted."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from service.cli.exits import EPILOG, CommandError, UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import moment, print_json, print_table, say

if TYPE_CHECKING:
    from service.cli.client import Client

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Keep datasets: the questions that evaluations ask, with the answers and sources that are expected.",
    epilog=EPILOG,
)

DatasetArgument = Annotated[str, typer.Argument(help="Name or id of the dataset.", metavar="DATASET")]
MadeArgument = Annotated[
    str, typer.Argument(help="Name or id of the dataset; made when there is none.", metavar="DATASET")
]

PAGE = 1000
"""Rows that are read at once."""


class Gold(StrEnum):
    """What names the sources of new rows."""

    SOURCE = "source"
    DOCUMENT = "documentId"
    CHUNK = "chunkId"
    QUOTE = "quote"


class Said(StrEnum):
    """How answers were rated."""

    UP = "up"
    DOWN = "down"


class Format(StrEnum):
    """What an export is written in."""

    CSV = "csv"
    JSONL = "jsonl"


GoldOption = Annotated[
    Gold, typer.Option(help="What names the sources: quotes and names outlive another splitter, ids do not.")
]


@app.command("ls", epilog=EPILOG)
def list_datasets(
    data: DataOption = None, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the datasets, last changed first."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        found = client.get("/datasets")
    if as_json:
        print_json(found)
    else:
        rows = [(item["id"], item["name"], f"{item['rowCount']:,}", moment(item["updatedDate"])) for item in found]
        print_table(("id", "name", "rows", "changed"), rows)


@app.command("show", epilog=EPILOG)
def show_dataset(
    dataset: DatasetArgument,
    drafts: Annotated[
        bool | None, typer.Option("--drafts/--accepted", help="Only drafts, or only what was accepted.")
    ] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=PAGE, help="Show at most so many rows.")] = 50,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the rows of a dataset: question, expected answer, sources that must be found."""
    from service.cli.client import connect, need
    from service.cli.search import excerpt

    with connect(data, url, key) as client:
        found = need(client.dataset(dataset), "dataset", dataset)
        shown = _page(client, found, 1, most, drafts)
    if as_json:
        print_json(shown)
        return
    rows = [
        (
            row["sequenceNo"],
            excerpt(row["input"], 200),
            excerpt(row["output"], 200),
            excerpt(", ".join(value for source in row["sources"] for value in source.values()), 120),
            "draft" if row["draft"] else "",
        )
        for row in shown["rows"]
    ]
    print_table(("no.", "question", "expected answer", "sources", ""), rows)
    if (more := shown["total"] - len(rows)) > 0:
        say(f"… and {more:,} more; --limit shows up to {PAGE:,}, `ragstone dataset export` all of them.")
    elif not rows:
        say("There are no such rows.")


@app.command("new", epilog=EPILOG)
def new_dataset(
    name: Annotated[str, typer.Argument(help="What it is called.", metavar="NAME")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an empty dataset."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        made = client.post("/datasets/set", {"name": name, "description": description})
    if as_json:
        print_json(made)
    else:
        print_table(("id", "name"), [(made["id"], made["name"])])


@app.command("rm", epilog=EPILOG)
def remove_dataset(
    dataset: DatasetArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a dataset with all of its rows."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        found = need(client.dataset(dataset), "dataset", dataset)
        client.send("DELETE", f"/datasets/set/{found['id']}")
    if as_json:
        print_json({"id": found["id"], "name": found["name"], "removed": True})
    else:
        say(f"{found['name']} is removed.")


@app.command("import", epilog=EPILOG)
def import_rows(
    files: Annotated[list[Path], typer.Argument(help="CSV or JSON Lines.", metavar="FILE...")],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Name or id of the dataset; made when there is none.", show_default="the first file's name, no suffix"
        ),
    ] = None,
    headers: Annotated[
        bool | None,
        typer.Option("--headers/--no-headers", help="The first row of CSV files holds headers.", show_default="look"),
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the rows of files to a dataset, all of them or none. A CSV has the question in its first column and the
    expected answer in its second; a line of JSON Lines has `input`, and `output`, `sources`, `metadata` and `draft` as
    far as they are known."""
    from service.cli.client import connect

    for file in files:
        if not file.is_file():
            raise UsageProblem(f"there is no file {file}")
    named = headers if headers is not None else any(_has_headers(file) for file in files)
    with connect(data, url, key) as client, _made_when_missing(client, dataset or files[0].stem) as found:
        done = client.send_form(
            f"/datasets/set/{found['id']}/import",
            {"firstRowHeaders": str(named).lower()},
            [(file.name, file) for file in files],
        )
    _print_made(found, done, as_json=as_json)


@app.command("export", epilog=EPILOG)
def export_rows(
    dataset: DatasetArgument,
    file: Annotated[
        Path | None, typer.Argument(help="File to write.", metavar="FILE", show_default="standard output")
    ] = None,
    written: Annotated[
        Format | None, typer.Option("--format", help="How.", show_default="as the file is named, else jsonl")
    ] = None,
    drafts: Annotated[
        bool | None, typer.Option("--drafts/--accepted", help="Only drafts, or only what was accepted.")
    ] = None,
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="In CSV, mark texts that a spreadsheet takes for formulas.")
    ] = False,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all rows of a dataset in a file that an import reads back as they were."""
    from service.cli.client import connect, need

    kind = written or (Format.CSV if file is not None and file.suffix.lower() == ".csv" else Format.JSONL)
    params: dict[str, Any] = {"format": kind.value, "spreadsheet": spreadsheet}
    if drafts is not None:
        params["draft"] = drafts
    with connect(data, url, key) as client:
        found = need(client.dataset(dataset), "dataset", dataset)
        path = f"/datasets/set/{found['id']}/export"
        if file is None:
            for piece in client.pieces(path, params):
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        size = client.download(path, params, file)
    if as_json:
        print_json({"id": found["id"], "name": found["name"], "file": str(file), "bytes": size})
    else:
        print_table(("dataset", "file", "bytes"), [(found["name"], file, f"{size:,}")])


@app.command("draft", epilog=EPILOG)
def draft_questions(
    dataset: MadeArgument,
    store: Annotated[str, typer.Option(help="Name or id of the document store to ask about.")],
    count: Annotated[int, typer.Option(min=1, max=200, help="Questions at most, one a chunk.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws other chunks.")] = 0,
    gold: GoldOption = Gold.CHUNK,
    model: Annotated[bool, typer.Option(help="Ask the service's own chat model, where there is one.")] = True,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draft questions about chunks of a document store, with answer and source. No evaluation uses them until `ragstone
    dataset accept`."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        asked = need(client.store(store), "document store", store)
        body = {"storeId": asked["id"], "count": count, "seed": seed, "gold": gold.value, "useModel": model}
        with _made_when_missing(client, dataset) as found:
            done = client.post(f"/datasets/set/{found['id']}/questions", body)
    _print_made(found, done, as_json=as_json)
    if done["fallback"]:
        say(f"Of {done['created']} questions, a model wrote {done['byModel']} ({done['fallback']}).")
    if not as_json:
        say(f"They are drafts: read them by `ragstone dataset show {found['id']} --drafts`, then accept them.")


@app.command("accept", epilog=EPILOG)
def accept_drafts(
    dataset: DatasetArgument,
    rows: Annotated[
        list[str] | None,
        typer.Argument(help="Drafts, by number or id.", metavar="[ROW]...", show_default="all drafts"),
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept drafts, so that evaluations use them. Those with neither an expected answer nor sources stay drafts:
    nothing could be measured by them."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        found = need(client.dataset(dataset), "dataset", dataset)
        body = {"ids": _ids(client, found, rows)} if rows else {}
        done = client.post(f"/datasets/set/{found['id']}/accept", body)
    if as_json:
        print_json({"id": found["id"], "name": found["name"], **done})
        return
    say(f"{done['accepted']} accepted.")
    if done["left"]:
        say(f"{done['left']} stay drafts: they have neither an expected answer nor sources.")


@app.command("from-messages", epilog=EPILOG)
def take_messages(
    dataset: MadeArgument,
    flow: Annotated[str, typer.Option(help="Name or id of the chatflow that answered.")],
    rating: Annotated[
        list[Said] | None, typer.Option(help="Only answers rated so; repeat it.", show_default="both")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only answers from then on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only answers until then, UTC.")] = None,
    gold: GoldOption = Gold.CHUNK,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make rows of a chatflow's rated answers: a good one is expected, of a bad one the question waits as a draft. An
    answer becomes one row, however often this is called."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        answered = need(client.chatflow(flow), "chatflow", flow)
        body: dict[str, Any] = {"chatflowId": answered["id"], "gold": gold.value}
        if rating:
            body["ratings"] = [f"THUMBS_{each.name}" for each in rating]
        body |= {
            name: f"{when.isoformat()}Z"
            for name, when in (("startDate", since), ("endDate", until))
            if when is not None
        }
        with _made_when_missing(client, dataset) as found:
            done = client.post(f"/datasets/set/{found['id']}/messages", body)
    _print_made(found, done, as_json=as_json)
    if done["known"]:
        say(f"It had rows of {done['known']} rated answers before.")


@contextmanager
def _made_when_missing(client: "Client", name: str) -> Iterator[Mapping[str, Any]]:
    """The dataset of this name or id; one that had to be made goes again when what it was made for fails."""
    found = client.dataset(name)
    if found is not None:
        yield found
        return
    made: Mapping[str, Any] = client.post("/datasets/set", {"name": name})
    try:
        yield made
    except CommandError:
        with suppress(CommandError):
            client.send("DELETE", f"/datasets/set/{made['id']}")
        raise


def _print_made(dataset: Mapping[str, Any], done: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"id": dataset["id"], "name": dataset["name"], **done})
    else:
        print_table(("id", "dataset", "new rows"), [(dataset["id"], dataset["name"], f"{done['created']:,}")])


def _page(client: "Client", dataset: Mapping[str, Any], page: int, size: int, drafts: bool | None) -> Mapping[str, Any]:
    chosen = {} if drafts is None else {"draft": drafts}
    found: Mapping[str, Any] = client.get(f"/datasets/set/{dataset['id']}", page=page, limit=size, **chosen)
    return found


def _ids(client: "Client", dataset: Mapping[str, Any], rows: Sequence[str]) -> list[str]:
    """Ids of the drafts that are named by number or id. Raises `CommandError` for a number that no draft has."""
    numbers = {text for text in rows if text.isdecimal()}
    ids = [str(_row_id(text)) for text in rows if text not in numbers]
    page, total = 1, len(numbers) and PAGE
    while numbers and (page - 1) * PAGE < total:
        read = _page(client, dataset, page, PAGE, True)
        total = read["total"]
        for row in read["rows"]:
            if (number := str(row["sequenceNo"])) in numbers:
                ids.append(row["id"])
                numbers.discard(number)
        page += 1
    if numbers:
        raise CommandError(f"{dataset['name']} has no draft number {', '.join(sorted(numbers, key=int))}")
    return ids


def _row_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageProblem(f"{text!r} is no number and no id of a row; `ragstone dataset show` shows numbers") from None


def _has_headers(file: Path) -> bool:
    """Whether a CSV begins as exports do. JSON Lines have no headers."""
    with file.open("rb") as stream:
        start = stream.read(64).removeprefix(b"\xef\xbb\xbf").lower().replace(b'"', b"").replace(b" ", b"")
    return start.startswith((b"input,output", b"question,answer"))
