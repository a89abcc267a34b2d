"""A person answers a real agentflow over HTTP: the engine's own pause goes through the database and back."""

from collections.abc import Iterator

import httpx
import pytest

from service.api_keys import service as api_keys
from service.settings import Settings
from tests.service.agentflows.flows import edge, graph, node, variable
from tests.service.executions.conftest import Desk
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live


@pytest.fixture
def plain(settings: Settings) -> Iterator[Desk]:
    """The application with its own engine."""
    with Live(settings) as live:
        _, secret = live.run(api_keys.create(live.resources.database, DEFAULT_WORKSPACE, "tests"))
        headers = {"Authorization": f"Bearer {secret}"}
        with httpx.Client(base_url=f"{live.url}/api/v1", headers=headers, timeout=60) as client:
            yield Desk(live, client)


@pytest.mark.parametrize(("decision", "text"), [("proceed", "Sent to Anna."), ("reject", "Not sent.")])
def test_a_run_waits_for_a_person_and_goes_on(plain: Desk, decision: str, text: str) -> None:
    nodes = [
        node("start", "start", startInputType="chatInput", startState=[{"key": "to", "value": variable("question")}]),
        node(
            "human_0", "humanInput", humanInputDescriptionType="fixed", humanInputDescription="<p>Send it?</p>",
            humanInputEnableFeedback=True,
        ),
        node("yes_0", "directReply", directReplyMessage="Sent to {{ $flow.state.to }}."),
        node("no_0", "directReply", directReplyMessage="Not sent."),
    ]  # fmt: skip
    edges = [edge("start", "human_0"), edge("human_0", "yes_0", 0), edge("human_0", "no_0", 1)]
    body = {"name": "Agents", "type": "AGENTFLOW", "flowData": graph(nodes, edges)}
    flow = plain.client.post("/chatflows", json=body).json()["id"]
    first = plain.ask(flow, "Anna", chatId="c1").json()
    assert first["action"]["data"]["nodeId"] == "human_0", first
    second = plain.answer(flow, decision, chatId="c1").json()
    assert second["text"] == text
    assert second["executionId"] == first["executionId"]
    (execution,) = plain.executions()
    assert execution["state"] == "FINISHED"
    names = [item["nodeId"] for item in plain.nodes(execution["id"])]
    assert names[-1] == ("yes_0" if decision == "proceed" else "no_0")
    assert plain.answer(flow, decision, chatId="c1").status_code == 409
