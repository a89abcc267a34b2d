"""What flows say besides texts: one that waits for a person fails its case, and nobody finds a run that waits."""

import json
from uuid import UUID

from service.evaluations.runs import said
from service.evaluations.types import EvaluationState, MetricWish
from service.worker.runner import Runner
from tests.service.agentflows.flows import chain, edge, graph, node
from tests.service.chatflows import flows
from tests.service.evaluations.lab import Lab, flow_target
from tests.stubs.openai_server import OpenAIStub, Script

ASKING = graph(
    [
        node("start", "start", startInputType="chatInput"),
        node("ask", "humanInput", label="Check", humanInputDescription="<p>Send it?</p>"),
        node("yes", "directReply", directReplyMessage="Sent"),
    ],
    [edge("start", "ask"), edge("ask", "yes", 0)],
)


async def test_a_flow_that_waits_for_a_person_fails_its_case_and_leaves_no_run_behind(lab: Lab, worker: Runner) -> None:
    flow = await lab.flow(ASKING, type="AGENTFLOW")
    outer = await lab.flow(
        chain(node("call", "executeFlow", executeFlowSelectedFlow=str(flow))), "Outer", type="AGENTFLOW"
    )
    made = await lab.make(
        await lab.dataset(2), flow_target(flow), flow_target(outer), metrics=[MetricWish("exactMatch")]
    )
    ended = await lab.end(made)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 4, 4)
    results = await lab.results(ended)
    assert all("waits for a person" in item.error for item in results), [item.error for item in results]
    assert all(not item.attempts for item in results), "nobody comes by the second time either"
    assert all(score.error for item in results for score in item.scores.values())
    left = await lab.talk.rows("SELECT 1 AS one FROM executions")
    assert not left
    assert not await lab.talk.rows("SELECT 1 AS one FROM chat_messages")


async def test_a_run_of_a_visitor_that_waits_stays_even_where_a_flow_keeps_nothing(lab: Lab, worker: Runner) -> None:
    flow = await lab.flow(ASKING, type="AGENTFLOW", apiConfig='{"conversations": {"store": false}}')
    asked = await lab.client.post(f"/api/v1/prediction/{flow}", json={"question": "A mail", "chatId": "one"})
    assert asked.status_code == 200, asked.text
    states = await lab.talk.rows("SELECT chatflow_id, state FROM executions")
    assert [(UUID(str(row["chatflow_id"])), row["state"]) for row in states] == [(flow, "STOPPED")]


async def test_what_a_flow_said_is_its_text_else_its_json_else_the_whole_body(
    lab: Lab, worker: Runner, stub: OpenAIStub
) -> None:
    stub.script(Script(reply="red, green"), times=None)
    model = flows.openai(stub.url)
    parts = [
        model,
        flows.node("prompt_0", "promptTemplate", "Prompts", {"template": "{q}"}),
        flows.node("parser_0", "csvOutputParser", "Output Parsers"),
        flows.node("chain_0", "llmChain", "Chains"),
    ]
    links = [(model["id"], "model"), ("prompt_0", "prompt"), ("parser_0", "outputParser")]
    lists = flows.graph(parts, [flows.edge(source, "chain_0", anchor) for source, anchor in links])
    says, keeps_silent = (
        chain(node("reply", "directReply", directReplyMessage=text)) for text in ("Leave stands here.", "")
    )
    targets = [
        flow_target(await lab.flow(says, type="AGENTFLOW")),
        flow_target(await lab.flow(lists)),
        flow_target(await lab.flow(keeps_silent, type="AGENTFLOW")),
    ]
    ended = await lab.end(await lab.make(await lab.dataset(1), *targets, metrics=[MetricWish("exactMatch")]))
    text, json_, silent = await lab.results(ended)
    assert (text.error, json_.error, silent.error) == ("", "", "")
    assert said(text) == "Leave stands here."
    assert said(json_) == '```json\n["red", "green"]\n```'
    assert json_.answer == '["red", "green"]', "metrics see no fence"
    assert silent.answer == ""
    body = json.loads(said(silent))
    assert body["text"] == ""
    assert body["agentFlowExecutedData"]
