"""Tools that a workspace keeps, in flows: used as they are now, and missed before any model is asked."""

from typing import Any

import pytest

from service.settings import Settings
from tests.service.agentflows import flows as agentflows
from tests.service.chatflows.flows import node
from tests.service.predictions.conftest import House
from tests.service.predictions.test_agents import agent
from tests.stubs.openai_server import Called, Script


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """JavaScript is switched on."""
    return settings.model_copy(update={"javascript": True})


@pytest.fixture
def tool(house: House) -> str:
    """The id of a tool."""
    made = house.client.post("/tools", json={"name": "greet", "description": "Greets.", "func": "return 'Good day'"})
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


def chatflow(house: House, tool: str) -> str:
    return agent(house, "toolAgent", [(node("tool_0", "customTool", "Tools", {"selectedTool": tool}), "tools")])


def agentflow(house: House, *nodes: dict[str, Any]) -> str:
    return house.flow(agentflows.chain(*nodes), type="AGENTFLOW")


def of_agent(house: House, tool: str, **config: Any) -> str:
    """An agentflow whose agent may use the tool."""
    tools = [{"agentSelectedTool": "customTool", "agentSelectedToolConfig": {"selectedTool": tool, **config}}]
    return agentflow(
        house, agentflows.node("a", "agent", **agentflows.model("agent", house.stub.url), agentTools=tools)
    )


def filled(house: House, tool: str) -> str:
    """The same, described by what a run fills: the tool is made anew for each."""
    return of_agent(house, tool, customToolDesc="Greets who asks {{ question }}")


def of_tool_node(house: House, tool: str) -> str:
    """An agentflow that uses the tool behind a model."""
    return agentflow(
        house,
        agentflows.node("m", "llm", **agentflows.model("llm", house.stub.url)),
        agentflows.node(
            "t", "tool", toolAgentflowSelectedTool="customTool", toolAgentflowSelectedToolConfig={"selectedTool": tool}
        ),
    )


@pytest.mark.parametrize("made", [chatflow, of_agent, filled, of_tool_node], ids=lambda made: made.__name__)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_kept_tool_that_is_gone_is_told_before_any_model_is_asked(
    house: House, tool: str, made: Any, streaming: bool
) -> None:
    flow = made(house, tool)
    house.stub.script(Script(calls=[Called("greet", {})] if made is not of_tool_node else [], reply="Let me see."))
    assert "Good day" in house.ask(flow, "go").text
    assert house.client.get(f"/chatflows/{flow}/check").json()["verdict"] == "runs"
    assert house.client.delete(f"/tools/{tool}").status_code == 200
    house.stub.reset()
    refused = house.own(flow, "go", streaming=streaming)
    assert refused.status_code == 422, refused.text
    assert f"selectedTool: the tool '{tool}' is not kept here" in refused.json()["message"]
    assert not house.stub.requests
    assert f"the tool '{tool}' is not kept here" in house.client.get(f"/chatflows/{flow}/check").text


def test_a_kept_tool_is_used_as_it_is_now(house: House, tool: str) -> None:
    flow = of_tool_node(house, tool)
    assert house.ask(flow, "go").json()["text"] == "Good day"
    assert house.client.put(f"/tools/{tool}", json={"func": "return 'Good night'"}).status_code == 200
    assert house.ask(flow, "go").json()["text"] == "Good night"
