"""What visitors are shown of a run and what holders of a key are, and in which order of keys."""

import json
from typing import Any
from uuid import uuid4

import httpx

from service.api_keys import service as api_keys
from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    Executed,
    FlowStatus,
    FlowType,
    NodesExecuted,
    NodeStatus,
    Passage,
    RunStatus,
    Sources,
    Structured,
    Token,
    ToolCalls,
    ToolsUsed,
    ToolUse,
    Usage,
)
from service.predictions.events import End, Event, Metadata
from service.predictions.runs import Running
from service.predictions.service import Prediction
from service.predictions.usage import Spent
from service.predictions.writing import Writer, answer
from service.settings import Price
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE
from tests.service.predictions.test_streams import events

SECRET = "the-system-prompt"
SPENT = Spent.of([Usage("gpt-4o-mini-2024-07-18", 1000, 100)], {"gpt-4o-mini": Price(0.15, 0.6)})
NODE = Executed(
    "llm_0",
    "LLM",
    {
        "id": "llm_0",
        "name": "llmAgentflow",
        "input": {"messages": [{"role": "system", "content": SECRET}]},
        "output": {"content": "Hi", "usedTools": [{"tool": "t", "toolInput": {"q": SECRET}, "toolOutput": "4"}]},
        "state": {"secret": SECRET},
        "credential": SECRET,
    },
    (),
    RunStatus.FINISHED,
)
SAID: list[Event] = [
    FlowStatus(RunStatus.INPROGRESS),
    NodeStatus("llm_0", "LLM", RunStatus.INPROGRESS),
    ToolCalls((("t", {"q": SECRET}),)),
    Token("Hi"),
    NodesExecuted((NODE,)),
    Sources((Passage("7", "Text", {"source": "a.md"}, 0.5),)),
    ToolsUsed((ToolUse("t", {"q": SECRET}, "4"),)),
    Artifacts(({"type": "png", "data": "x"},)),
    ActionWanted({"id": "1"}),
    FlowStatus(RunStatus.FINISHED),
    Metadata("c", "m", "Q?", "s", None, usage=SPENT, follow_ups=("Why?",), execution="e1"),
    End(),
]


def whole(said: list[Event], *, full: bool, kind: FlowType = FlowType.AGENTFLOW, **more: Any) -> dict[str, Any]:
    """The answer of a run that said this."""
    running = Running(uuid4(), "c")
    running.say(*said)
    prediction = Prediction(running, "c", "s", "Q?", "Memory", uuid4(), False, full, kind, **more)
    found: dict[str, Any] = json.loads(answer(prediction))
    return found


def test_visitors_are_shown_no_inputs_prompts_models_nor_costs() -> None:
    for shown in (Writer().write(SAID).decode(), json.dumps(whole(SAID, full=False))):
        assert SECRET not in shown
        assert "gpt" not in shown
        assert "cost" not in shown
        for needed in ("llmAgentflow", "FINISHED", '"content"', "toolOutput", "total_tokens", "sourceDocuments"):
            assert needed in shown


def test_holders_of_a_key_are_shown_everything() -> None:
    found = whole(SAID, full=True)
    assert found["agentFlowExecutedData"][0]["data"] == NODE.data
    assert found["usedTools"][0]["toolInput"] == {"q": SECRET}
    assert found["usageMetadata"] == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "total_tokens": 1100,
        "calls": 1,
        "cost": 0.00021,
        "models": {
            "gpt-4o-mini-2024-07-18": {
                "input_tokens": 1000,
                "output_tokens": 100,
                "total_tokens": 1100,
                "calls": 1,
                "cost": 0.00021,
            }
        },
    }
    assert SECRET in Writer(full=True).write(SAID).decode()


def test_keys_of_whole_answers_stand_in_the_contracts_order() -> None:
    assert list(whole(SAID, full=True, form={"a": 1})) == [
        "text", "sourceDocuments", "usedTools", "artifacts", "question", "form", "chatId", "chatMessageId",
        "followUpPrompts", "executionId", "agentFlowExecutedData", "action", "sessionId", "memoryType",
        "usageMetadata",
    ]  # fmt: skip
    assert list(whole([Structured([1]), *SAID[5:]], full=True, kind=FlowType.CHATFLOW)) == [
        "json", "sourceDocuments", "usedTools", "artifacts", "action", "question", "chatId", "chatMessageId",
        "isStreamValid", "sessionId", "memoryType", "followUpPrompts", "usageMetadata",
    ]  # fmt: skip


def test_follow_up_prompts_are_encoded_once_in_streams_and_in_whole_answers() -> None:
    assert json.loads(whole(SAID, full=False)["followUpPrompts"]) == ["Why?"]
    assert json.loads(dict(events(Writer().write(SAID)))["metadata"]["followUpPrompts"]) == ["Why?"]


def test_an_agentflow_is_streamed_without_a_start() -> None:
    names = [name for name, _ in events(Writer().write(SAID))]
    assert "start" not in names
    assert names[0] == "agentFlowEvent"
    assert names[-3:] == ["agentFlowEvent", "metadata", "end"]


def test_numbers_that_json_lacks_are_null() -> None:
    use = ToolUse("t", {"n": float("nan"), "deep": [float("inf")]}, "4")
    found = whole([Token("x"), ToolsUsed((use,))], full=True)
    assert found["usedTools"][0]["toolInput"] == {"n": None, "deep": [None]}


def test_a_key_of_the_workspace_shows_more_and_one_that_is_bound_to_people_does_not(house: House) -> None:
    flow = house.writing()
    created = api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "bound", principals=["user:ann"])
    _, bound = house.live.run(created)
    path = f"/api/v1/prediction/{flow}"
    public = house.ask(flow).json()["usageMetadata"]
    asked = {"question": "How many days of leave?"}
    keyed = house.client.post(house.live.url + path, json=asked).json()["usageMetadata"]
    inside = house.client.post(f"/internal-prediction/{flow}", json=asked).json()["usageMetadata"]
    headers = {"Authorization": f"Bearer {bound}"}
    people = httpx.post(house.live.url + path, json=asked, headers=headers).json()["usageMetadata"]
    assert "models" not in public
    assert "models" not in people
    assert list(keyed["models"]) == list(inside["models"]) == ["stub-model"]
    assert public["total_tokens"] == keyed["total_tokens"] > 0
