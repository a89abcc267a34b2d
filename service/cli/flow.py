"""`ragstone flow`: chatflows and agentflows by the command line: what there is, what exports need, in, out, asked."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.exits import EPILOG, CommandError, Exit, Refused, Unreachable, UsageProblem
from service.cli.options import DataOption, JsonOption, KeyOption, UrlOption
from service.cli.output import moment, print_json, print_table, say

if TYPE_CHECKING:
    from service.cli.client import Client
    from service.flow_checks.types import Exported

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check, import, export and ask chatflows and agentflows.",
    epilog=EPILOG,
)

FlowArgument = Annotated[str, typer.Argument(help="Name or id of the chatflow.", metavar="FLOW")]


class Decision(StrEnum):
    """What a person says to an agentflow that waits."""

    PROCEED = "proceed"
    REJECT = "reject"


OFFLINE = "No service is asked: which credentials and document stores a workspace has is not known."

NONE_NEEDED = "runs"


@app.command("ls", epilog=EPILOG)
def list_flows(
    data: DataOption = None, url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the chatflows and agentflows, last changed first."""
    from service.cli.client import connect

    with connect(data, url, key) as client:
        flows = client.get("/chatflows")
    fields = ("id", "name", "type", "isPublic", "category", "updatedDate")
    if as_json:
        print_json([{field: flow[field] for field in fields} for flow in flows])
    else:
        rows = [(flow["id"], flow["name"], flow["type"].lower(), moment(flow["updatedDate"])) for flow in flows]
        print_table(("id", "name", "type", "changed"), rows)


@app.command("check", epilog=EPILOG)
def check_flows(
    files: Annotated[list[Path], typer.Argument(help="Exported flows, or a workspace's export.", metavar="FILE...")],
    offline: Annotated[bool, typer.Option("--offline", help="Ask no service, even where one runs.")] = False,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what exported flows need before they run: a credential, a setting, another node. Nothing is stored. Exit code
    1 unless all of them run now. Without a running service the check is made in this process."""
    read = [(file, flow) for file in files for flow in _read(file)]
    checked: list[dict[str, Any]] = []
    asked: AbstractContextManager[Client | None] = nullcontext() if offline else _service(data, url, key)
    with asked as client:
        if client is None:
            say(OFFLINE)
        for file, flow in read:
            report = _reported(flow, client, data)
            checked.append({"file": str(file), "name": flow.name, **report})
    if as_json:
        print_json(checked)
    else:
        _print_reports(checked)
    if any(item["verdict"] != NONE_NEEDED for item in checked):
        raise typer.Exit(Exit.FAILED)


@app.command("import", epilog=EPILOG)
def import_flows(
    files: Annotated[list[Path], typer.Argument(help="Exported flows, or a workspace's export.", metavar="FILE...")],
    name: Annotated[
        str | None, typer.Option(help="Name of the new chatflow.", show_default="as in the file, else the file's")
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the flows of files, also those that cannot run yet, and say what each of them needs. Exit code 1 when one
    of them is not kept."""
    from service.cli.client import connect

    flows = [flow for file in files for flow in _read(file)]
    if name is not None and len(flows) > 1:
        raise UsageProblem(f"these are {len(flows)} flows: --name names one")
    with connect(data, url, key) as client:
        made = [_imported(client, flow, name or flow.name) for flow in flows]
    refused = [item for item in made if item["id"] is None]
    if as_json:
        print_json(made)
    else:
        print_table(("id", "name", "type"), [(item["id"] or "–", item["name"], item["type"].lower()) for item in made])
        print()
        _print_reports(made)
    for item in refused:
        say(f"{item['name']} is not imported: {item['refused']}")
    if refused:
        raise typer.Exit(Exit.FAILED)


def _imported(client: "Client", flow: "Exported", name: str) -> dict[str, Any]:
    """A flow's report with its new id, or with the reason why it was not kept."""
    report = client.post("/flow-checks", {"flowData": flow.flow_data, "type": flow.type.value})
    body = {**flow.columns, "name": name, "type": flow.type.value, "flowData": flow.flow_data}
    try:
        entity = client.post("/chatflows", body)
    except (Refused, Unreachable):
        raise
    except CommandError as error:
        return {"id": None, "name": name, "refused": str(error), **report}
    return {"id": entity["id"], "name": entity["name"], **report}


@app.command("export", epilog=EPILOG)
def export_flow(
    flow: FlowArgument,
    file: Annotated[
        Path | None, typer.Argument(help="File to write.", metavar="FILE", show_default="standard output")
    ] = None,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a flow's nodes and edges as the editor exports them: without credentials, secrets and files."""
    from service.cli.client import connect, need
    from service.flow_checks.files import exported

    with connect(data, url, key) as client:
        found = need(client.chatflow(flow), "chatflow", flow)
    text = exported(found["flowData"]) + "\n"
    if file is None:
        print(text, end="")
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error}") from None
    size = len(text.encode())
    if as_json:
        print_json({"id": found["id"], "name": found["name"], "file": str(file), "bytes": size})
    else:
        print_table(("chatflow", "file", "bytes"), [(found["name"], file, f"{size:,}")])


@app.command("run", epilog=EPILOG)
@app.command("ask", hidden=True, epilog=EPILOG)
def run_flow(
    flow: FlowArgument,
    question: Annotated[str, typer.Argument(help="What to ask; nothing for a flow that starts with a form.")] = "",
    session: Annotated[str | None, typer.Option(help="Conversation to go on with; any text.")] = None,
    form: Annotated[str, typer.Option(help="Values of the form that starts an agentflow, as JSON.")] = "{}",
    decide: Annotated[
        Decision | None, typer.Option(help="Answer an agentflow that waits in the conversation --session.")
    ] = None,
    feedback: Annotated[str, typer.Option(help="What to say with --decide.")] = "",
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a flow; prints the answer as it is written, then its numbered sources. Where it stops for a person, how to
    answer it is told on stderr."""
    from service.cli.ask import print_answer
    from service.cli.client import connect, need

    values = _form(form)
    if decide and not session:
        raise UsageProblem("--decide needs the --session that waits")
    if not (decide or question or values):
        raise UsageProblem("give a question, or --form for a flow that starts with one")
    with connect(data, url, key) as client:
        found = need(client.chatflow(flow), "chatflow", flow)
        body: dict[str, Any] = {"form": values} if values else {"question": question}
        if decide and session:
            waits = _waits_at(client, str(found["id"]), session)
            body = {"humanInput": {"type": decide.value, "startNodeId": waits, "feedback": feedback}}
        if session:
            body |= {"overrideConfig": {"sessionId": session}, "chatId": session}
        if as_json:
            print_json(client.post(f"/prediction/{found['id']}", body))
            return
        about = print_answer(client, str(found["id"]), body)
        if about.get("action"):
            say(f"It waits for a person: ragstone flow run {found['id']} --session {about['chatId']} --decide proceed")


@app.command("rm", epilog=EPILOG)
def remove_flow(
    flow: FlowArgument,
    data: DataOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a flow with its messages, its upserts and the files of its conversations."""
    from service.cli.client import connect, need

    with connect(data, url, key) as client:
        found = need(client.chatflow(flow), "chatflow", flow)
        client.send("DELETE", f"/chatflows/{found['id']}")
    if as_json:
        print_json({"id": found["id"], "name": found["name"], "removed": True})
    else:
        say(f"{found['name']} is removed.")


def _read(file: Path) -> "Sequence[Exported]":
    from service.errors import BadRequest
    from service.flow_checks.files import read

    try:
        return read(file.read_text("utf-8"), file.stem)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{file} cannot be read: {error}") from None
    except BadRequest as error:
        raise UsageProblem(f"{file}: {error.message}") from None


def _service(data: Path | None, url: str | None, key: str | None) -> "AbstractContextManager[Client | None]":
    """The service to ask, else nothing: none runs and none is named."""
    from service.cli.client import URL_VARIABLE, connect
    from service.cli.folder import running
    from service.cli.options import environment, settings_for

    named = url or environment().get(URL_VARIABLE)
    return connect(data, url, key) if named or running(settings_for(data).data) else nullcontext()


def _reported(flow: "Exported", client: "Client | None", data: Path | None) -> dict[str, Any]:
    if client is not None:
        report: dict[str, Any] = client.post("/flow-checks", {"flowData": flow.flow_data, "type": flow.type.value})
        return report
    from service.cli.options import settings_for
    from service.flow_checks import wire
    from service.flow_checks.service import check_apart

    found = asyncio.run(check_apart(settings_for(data), flow.flow_data, flow.type))
    return wire.report(found).model_dump(mode="json", by_alias=True)


def _print_reports(checked: Sequence[Mapping[str, Any]]) -> None:
    """A line for each flow, and one for each thing that it needs; on stderr how many there are of each kind."""
    rows: list[tuple[str, str, str]] = []
    for item in checked:
        first = (item["name"], item["message"])
        for text in _needs(item) or [""]:
            rows.append((*first, text))
            first = ("", "")
    print_table(("flow", "verdict", "what it needs"), rows)
    if len(checked) > 1:
        counts = Counter(item["message"] for item in checked)
        say(f"{len(checked)} flows: " + ", ".join(f"{count} {message}" for message, count in counts.most_common()))


def _needs(item: Mapping[str, Any]) -> list[str]:
    texts = [problem["text"] for problem in item["problems"]]
    for node in item["nodes"]:
        upserts = " (only to fill the vector store)" if node["part"] == "upsert" else ""
        for problem in node["problems"]:
            fitting = [f"'{one['name']}'" for one in node["fitting"] if one["credentialName"] in problem["credentials"]]
            would = f". There is {' and '.join(fitting)}" if fitting else ""
            texts.append(f"{problem['text']}{would}{upserts}")
    return [*texts, *_noted(item["remarks"])]


def _noted(remarks: Iterable[str]) -> list[str]:
    return [f"Note: {text}" for text in remarks]


def _waits_at(client: "Client", flow_id: str, session: str) -> str:
    """Id of the node at which the newest run of a conversation waits for a person."""
    runs = client.get("/executions", agentflowId=flow_id, sessionId=session, state="STOPPED", limit=1)["data"]
    if not runs or not runs[0]["action"]:
        raise CommandError(f"No run of the conversation {session} waits for a person")
    return str(json.loads(runs[0]["action"])["data"]["nodeId"])


def _form(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"--form is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise UsageProblem("--form must be a JSON object")
    return values
