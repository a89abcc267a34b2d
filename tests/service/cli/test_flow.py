"""Flows by the command line: checked without a service and with one, imported, asked, exported, removed."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli import main
from service.cli.flows import answer_flow
from service.cli.folder import KEY
from service.flow_checks.files import exported
from tests.service.agentflows import flows as agentflows
from tests.service.chatflows.flows import edge, graph, node
from tests.service.cli.conftest import Up, ragstone

SAMPLES = Path(__file__).parents[2] / "samples" / "flows"
CHAIN = SAMPLES / "chatflows" / "Conversation Chain.json"
TABLES = SAMPLES / "chatflows" / "CSV Agent.json"


def quoting(file: Path, store: str) -> Path:
    """A flow that runs at once: it quotes from a document store."""
    file.write_text(answer_flow(store))
    return file


def approval() -> str:
    """An agentflow that asks a person for days of leave."""
    asks = {"humanInputDescriptionType": "fixed", "humanInputDescription": "{{ $form.days }} days?"}
    nodes = [
        agentflows.node("start", "start", startInputType="formInput"),
        agentflows.node("boss", "humanInput", **asks),
        agentflows.node("yes", "directReply", directReplyMessage="Yes."),
        agentflows.node("no", "directReply", directReplyMessage="No."),
    ]
    links = [("start", "boss", None), ("boss", "yes", 0), ("boss", "no", 1)]
    return agentflows.graph(nodes, [agentflows.edge(*link) for link in links])


def apart(capsys: pytest.CaptureFixture[str], tmp_path: Path, *files: Path) -> tuple[int, str, str]:
    """A check without a service: exit code, output, remarks."""
    code = main(["flow", "check", *map(str, files), "--data", str(tmp_path / "nothing")])
    shown = capsys.readouterr()
    return code, " ".join(shown.out.split()), shown.err


def test_a_check_needs_no_service(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, shown, remarks = apart(capsys, tmp_path, CHAIN)
    assert code == 1
    assert shown.startswith("flow verdict what it needs Conversation Chain needs a credential ChatOpenAI")
    assert "save one of type openAIApi and choose it in the node" in shown
    assert "No service is asked" in remarks
    code, shown, _ = apart(capsys, tmp_path, quoting(tmp_path / "quoting.json", "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"))
    assert (code, shown) == (0, "flow verdict what it needs quoting runs now")
    assert not (tmp_path / "nothing").exists()


def test_every_flow_has_its_line_and_every_need_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = quoting(tmp_path / "mine.json", "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11")
    code, shown, remarks = apart(capsys, tmp_path, file, CHAIN, TABLES)
    assert code == 1
    assert "mine runs now" in shown
    assert "CSV Agent is not supported" in shown
    assert "retrieverTool" in shown
    assert "3 flows: 1 runs now, 1 needs a credential, 1 is not supported" in remarks


def test_whether_another_flow_is_there_cannot_be_told_without_a_service(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
    file = tmp_path / "calling.json"
    file.write_text(agentflows.chain(agentflows.node("e", "executeFlow", executeFlowSelectedFlow=other)))
    code, shown, _ = apart(capsys, tmp_path, file)
    assert code == 0
    assert "calling runs now" in shown
    assert main(["flow", "check", str(file), "--data", str(tmp_path), "--offline", "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["remarks"] == [f"e (e): whether the flow {other} is there, only the service that runs it can tell"]


def test_programs_read_the_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["flow", "check", str(CHAIN), "--data", str(tmp_path), "--offline", "--json"]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert (report["name"], report["type"], report["verdict"]) == ("Conversation Chain", "CHATFLOW", "needs_credential")
    nodes = {item["id"]: item for item in report["nodes"]}
    (problem,) = nodes["chatOpenAI_0"]["problems"]
    assert (problem["kind"], problem["credentials"]) == ("credential", ["openAIApi"])
    assert nodes["conversationChain_0"]["verdict"] == "runs"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not JSON"), ("[]", "holds no flow"), ('{"a": 1}', "holds no flow"), ('{"nodes": 7, "edges": []}', "nodes")],
)
def test_a_file_without_a_flow_is_told_from_a_flow_that_cannot_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(text)
    assert main(["flow", "check", str(file), "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ragstone: ")
    assert reason in error
    assert main(["flow", "check", str(tmp_path / "none.json"), "--data", str(tmp_path)]) == 2


def test_an_export_of_a_workspace_holds_several(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    flow = answer_flow("5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11")
    team = graph([node("s", "supervisor", "Multi Agents"), node("w", "worker", "Multi Agents")], [edge("w", "s", "w")])
    file = tmp_path / "ExportData.json"
    lists: dict[str, list[dict[str, Any]]] = {
        "ChatFlow": [{"name": "Handbook", "flowData": flow, "id": "x"}],
        "AgentFlow": [{"name": "Team", "flowData": team}],
        "ChatMessage": [],
    }
    file.write_text(json.dumps(lists))
    assert main(["flow", "check", str(file), "--data", str(tmp_path), "--offline", "--json"]) == 1
    found = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert (found["Handbook"]["verdict"], found["Handbook"]["type"]) == ("runs", "CHATFLOW")
    assert (found["Team"]["verdict"], found["Team"]["type"]) == ("not_supported", "MULTIAGENT")
    assert "version 2" in found["Team"]["nodes"][0]["problems"][0]["text"]


def test_a_flow_is_imported_asked_exported_and_removed(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    note = tmp_path / "note.txt"
    note.write_text("Every employee has 30 days of paid leave a year.")
    made = json.loads(ragstone("ingest", note, "--store", "Leave", *here, "--json").stdout)
    file = quoting(tmp_path / "Leave.json", made["storeId"])

    assert ragstone("flow", "check", file, *here).returncode == 0
    done = ragstone("flow", "import", file, *here)
    assert done.returncode == 0, done.stderr
    assert "runs now" in done.stdout
    listed = json.loads(ragstone("flow", "ls", *here, "--json").stdout)
    assert [flow["type"] for flow in listed if flow["name"] == "Leave"] == ["CHATFLOW"]
    assert "chatflow" in ragstone("flow", "ls", *here).stdout

    asked = ragstone("flow", "run", "Leave", "How many days of leave?", *here)
    assert asked.returncode == 0, asked.stderr
    assert "30 days of paid leave" in asked.stdout
    assert "[1] note.txt" in asked.stdout
    whole = json.loads(ragstone("flow", "ask", "Leave", "How many days?", *here, "--json").stdout)
    assert whole["sourceDocuments"]

    out = tmp_path / "out.json"
    assert ragstone("flow", "export", "Leave", out, *here).returncode == 0
    exported, given = json.loads(out.read_text()), json.loads(file.read_text())
    assert (exported["nodes"], exported["edges"]) == (given["nodes"], given["edges"])
    assert json.loads(ragstone("flow", "export", "Leave", *here).stdout) == exported

    assert ragstone("flow", "rm", "Leave", *here).returncode == 0
    assert ragstone("flow", "rm", "Leave", *here).returncode == 1


def test_a_service_knows_which_credentials_would_do(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    body = {"name": "Team account", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-one"}}
    assert ragstone("flow", "ls", *here).returncode == 0  # makes the folder's key
    key = (service.data / KEY).read_text().strip()
    url = f"{service.note.url}/api/v1/credentials"
    assert httpx.post(url, json=body, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    done = ragstone("flow", "check", CHAIN, *here)
    assert done.returncode == 1
    assert "There is 'Team account'" in " ".join(done.stdout.split())
    imported = ragstone("flow", "import", CHAIN, "--name", "Talk", *here, "--json")
    (report,) = json.loads(imported.stdout)
    assert (imported.returncode, report["name"], report["verdict"]) == (0, "Talk", "needs_credential")
    asked = ragstone("flow", "run", "Talk", "Hello", *here)
    assert asked.returncode == 1
    assert "openAIApi" in asked.stderr


def test_a_flow_that_is_not_kept_is_told_with_the_reason_and_the_others_are(service: Up, tmp_path: Path) -> None:
    script = graph([node("f", "customFunction", "Utilities", {"javascriptFunction": "return 1"})], [])
    flows = [{"name": "Script", "flowData": script}, {"name": "Kept", "flowData": CHAIN.read_text("utf-8")}]
    file = tmp_path / "ExportData.json"
    file.write_text(json.dumps({"ChatFlow": flows}))
    done = ragstone("flow", "import", file, "--data", service.data)
    assert done.returncode == 1
    assert "Script is not imported" in done.stderr
    assert "RAGSTONE_JAVASCRIPT" in done.stderr
    assert ragstone("flow", "rm", "Kept", "--data", service.data).returncode == 0


def test_exports_hold_no_secrets() -> None:
    data: dict[str, Any] = {
        "inputParams": [{"name": "txtFile", "type": "file"}, {"name": "pass", "type": "password"}],
    }
    inputs = {
        "txtFile": "data:…",
        "pass": "p",
        "modelName": "m",
        "baseOptions": {"defaultHeaders": {"authorization": "Bearer sk-1"}},
        "agentModelConfig": {"FLOWISE_CREDENTIAL_ID": "1", "modelName": "n", "apiKey": "sk-2"},
    }
    flow = graph([node("n", "chatOpenAI", "Chat Models", inputs, credential="c", **data)], [])
    (kept,) = json.loads(exported(flow))["nodes"]
    assert kept["data"]["inputs"] == {"modelName": "m", "agentModelConfig": {"modelName": "n"}}
    assert "credential" not in kept["data"]


def test_several_files_are_imported_and_a_flow_that_waits_for_a_person_is_answered(service: Up, tmp_path: Path) -> None:
    here = ("--data", service.data)
    file = tmp_path / "Approval.json"
    file.write_text(approval())
    done = ragstone("flow", "import", file, CHAIN, *here, "--json")
    assert done.returncode == 0, done.stderr
    assert [item["name"] for item in json.loads(done.stdout)] == ["Approval", CHAIN.stem]
    assert ragstone("flow", "import", file, CHAIN, "--name", "One", *here).returncode == 2

    asked = ragstone("flow", "run", "Approval", "--form", '{"days": 3}', *here)
    assert asked.stdout == "3 days?\n"
    session = asked.stderr.split("--session ")[1].split()[0]
    assert ragstone("flow", "run", "Approval", "--decide", "proceed", *here).returncode == 2
    decided = ragstone("flow", "run", "Approval", "--session", session, "--decide", "reject", *here)
    assert (decided.returncode, decided.stdout) == (0, "No.\n")
    again = ragstone("flow", "run", "Approval", "--session", session, "--decide", "reject", *here)
    assert again.returncode == 1
