"""Flows that Flowise's users export, imported over HTTP as they are and run against stub providers.

What needs something that is not there is refused before its run, with the name of what is missing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.flow_checks.files import read
from tests.compat.connecting import connected, fill, kinds_of, point_services_to, saved
from tests.service.predictions.conftest import House
from tests.stubs.model_servers import ModelStub
from tests.stubs.openai_server import Script

SAMPLES = Path(__file__).parents[1] / "samples" / "flows"


@dataclass(frozen=True)
class Expected:
    """What becomes of a flow. `needs` are the kinds of credential that it lacks as exported; `refused` what its refusal
    names when it has these; nothing: it answers."""

    needs: frozenset[str] = frozenset()
    refused: tuple[str, ...] = ()
    edits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Inputs that a user sets after the import, by node name."""
    form: Mapping[str, Any] | None = None
    """What starts it in place of a question."""
    reply: str = "It has 30 days [1]."
    """What every model says."""
    json: bool = False
    """Whether the answer is JSON in place of text."""
    scripts: bool = False
    """Whether it holds JavaScript: it is not even kept where the operator has not switched that on."""


def needs(*kinds: str, **more: Any) -> Expected:
    """A flow that lacks these credentials."""
    return Expected(frozenset(kinds), **more)


LISTED = '[{"title": "T", "yearOfRelease": 2001, "genres": ["Drama"], "shortDescription": "D"}]'
FOUND = '{"subagents": [{"task": "Look it up"}], "output": "Findings are sufficient"}'
FINISHED = '{"next": "FINISH", "instructions": "None", "reasoning": "It is done."}'

ITS_STORE = "25429b8f-0377-4762-9cda-0d5366cf022c"
"""The document store that a sample names, of whoever exported it."""

STUB = "http://stub"
"""Stands for the stub's address in edits."""

FLOWS = {
    "Advanced Structured Output Parser": needs("openAIApi", json=True, reply=LISTED),
    "Agents Handoff": needs("openAIApi", "googleGenerativeAI", "anthropicApi", "groqApi", "googleCustomSearchApi"),
    "Context Chat Engine": needs("openAIApi"),
    "Conversation Chain": needs("openAIApi"),
    "Conversational Retrieval QA Chain": needs("mistralAIApi", "openAIApi"),
    "CSV Agent": needs("openAIApi", refused=("csvAgent",)),
    "Deep Research With Multi-turn Conversations": needs("openAIApi", "googleGenerativeAI", "braveSearchApi"),
    "Deep Research With Subagents": needs(
        "anthropicApi", "googleGenerativeAI", "googleCustomSearchApi", form={"query": "Leave?"}, reply=FOUND
    ),
    "HuggingFace LLM Chain": needs("huggingFaceApi"),
    "Image Generation": needs("openAIApi", "replicateApi"),
    "Interacting With API": needs("openAIApi", "anthropicApi", refused=("yamlFile", "url")),
    "LLM Chain": needs("azureOpenAIApi", edits={"azureChatOpenAI": {"basepath": STUB}}),
    "Local QnA": needs(edits={"chatOllama": {"baseUrl": STUB}}),
    "OpenAI Assistant": needs("serperApi", refused=("openAIAssistant",), scripts=True),
    "OpenAPI YAML Agent": needs("anthropicApi", refused=("yamlFile",)),
    "ReAct Agent": needs("openAIApi", "googleCustomSearchApi"),
    "Replicate LLM": needs("replicateApi"),
    "Simple RAG": needs("openAIApi"),
    "SQL Agent": needs(
        "anthropicApi",
        "openAIApi",
        "googleGenerativeAI",
        "mistralAIApi",
        refused=("RAGSTONE_JAVASCRIPT",),
        scripts=True,
    ),
    "SQL DB Chain": needs("openAIApi", refused=("sqlDatabaseChain",)),
    "Structured Output": needs("anthropicApi", reply='{"output": [{"answer": "30", "reason": "It is written."}]}'),
    "SubQuestion Query Engine": needs("openAIApi"),
    "Supervisor Worker": needs("openAIApi", "googleGenerativeAI", reply=FINISHED),
    "Tool Agent": needs("openAIApi", "serpApi"),
    "Workplace Chat": needs("openAIApi", refused=("slackMCP", "microsoftTeams")),
}
"""What becomes of each flow."""


@pytest.fixture(scope="module")
def models() -> Iterator[ModelStub]:
    """The servers of all models."""
    with ModelStub() as stub:
        yield stub


@pytest.fixture(params=sorted(FLOWS))
def name(request: pytest.FixtureRequest) -> str:
    """A flow."""
    return str(request.param)


def text_of(name: str) -> str:
    """The file of a flow."""
    (file,) = SAMPLES.rglob(f"{name}.json")
    return file.read_text("utf-8")


def test_every_sample_has_a_row() -> None:
    assert {file.stem for file in SAMPLES.rglob("*.json")} == set(FLOWS)


@pytest.mark.filterwarnings("ignore:The model.*is deprecated:DeprecationWarning")  # exports name models of their time
def test_it_is_imported_as_it_is_and_run_or_refused_by_name(
    house: House, models: ModelStub, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, text, (flow,) = FLOWS[name], text_of(name), read(text_of(name), name)
    point_services_to(models, monkeypatch)
    models.reset()
    models.script(Script(reply=expected.reply), times=None)
    report = house.client.post("/flow-checks", json={"flowData": text}).json()
    assert report["type"] == flow.type
    assert kinds_of(report) == expected.needs
    assert (report["verdict"] == "runs") == (not expected.needs and not expected.refused)
    response = house.client.post("/chatflows", json={"name": name, "type": flow.type.value, "flowData": text})
    assert response.status_code == (422 if expected.scripts else 200), response.text
    if expected.scripts:
        assert "RAGSTONE_JAVASCRIPT" in response.json()["message"]
        assert all(word in json.dumps(report) for word in expected.refused)
        return
    made = str(response.json()["id"])
    assert house.client.get(f"/chatflows/{made}").json()["flowData"] == text
    asked: dict[str, Any] = {"question": "How many days of leave?"}
    if expected.form is not None:
        asked = {"form": expected.form}
    if report["verdict"] != "runs":
        refused = house.client.post(f"/internal-prediction/{made}", json=asked)
        assert refused.status_code == 422, refused.text
        assert any(word in refused.json()["message"] for word in (*expected.needs, *expected.refused)), refused.text
        assert models.requests == []
    connect(house, models, made, expected, text)
    report = house.client.get(f"/chatflows/{made}/check").json()
    fill(house, made, text, asked)
    answer = house.client.post(f"/internal-prediction/{made}", json=asked)
    if expected.refused:
        assert report["verdict"] not in ("runs", "needs_credential")
        assert answer.status_code == 422
        for word in expected.refused:
            assert word in json.dumps(report), word
            assert word in answer.json()["message"], word
        assert models.requests == []
    else:
        assert report["verdict"] == "runs", report
        assert answer.status_code == 200, answer.text
        assert answer.json()["json" if expected.json else "text"], answer.text
        assert models.requests


def connect(house: House, models: ModelStub, flow: str, expected: Expected, text: str) -> None:
    """Give a flow what it lacks, as its user would: credentials, servers, a document store of this workspace."""
    chosen = {kind: saved(house.client, kind) for kind in expected.needs}
    edits = {
        node: {key: models.root if value == STUB else value for key, value in inputs.items()}
        for node, inputs in expected.edits.items()
    }
    store = house.client.post("/document-store/store", json={"name": "Leave"}).json()["id"]
    house.shelf.store = UUID(store)
    complete = connected(text, chosen, edits).replace(ITS_STORE, store)
    house.client.put(f"/chatflows/{flow}", json={"flowData": complete}).raise_for_status()
