"""Models that only write: how they are led to tools, and what their words mean."""

import json
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

from service.agents.base import Call, Ended, Job, Limits, Resumed
from service.agents.loops import work
from service.agents.text_loop import talk_with
from service.agents.text_protocols import BadWords, React, TextProtocol, Words, Xml
from service.chatflows.run import Run
from service.chatflows.steps.tool import Outcome
from service.chatflows.types import Decision, StepEvent, Token
from tests.service.agents.conftest import ADD, FAILING, PASSAGES, run, tool, writes
from tests.stubs.openai_server import Called, OpenAIStub, Script

FIND = tool("find", "Thirty days.")
TOOLS = {item.name: item for item in (FIND, ADD)}
ASKED = [HumanMessage("How many?")]


async def done(job: Job, protocol: TextProtocol | None, given: Run | None = None) -> tuple[str, Ended]:
    """What is said, and how it ends. Without a protocol: by the loop that fits."""
    events: list[StepEvent | Ended] = []
    lent = given or run()
    async with aclosing(talk_with(job, lent, protocol) if protocol else work(job, lent)) as said:
        async for event in said:
            events.append(event)  # noqa: PERF401  # closing matters here
    ended = events[-1]
    assert isinstance(ended, Ended)
    text = "".join(event.text for event in events if isinstance(event, Token))
    assert text == ended.text
    return text, ended


@pytest.mark.parametrize(
    ("protocol", "call", "answer"),
    [
        (React(), "Thought: look\nAction: find\nAction Input: leave", "Thought: I know\nFinal Answer: 30 days"),
        (
            Words(),
            '```json\n{"action": "find", "action_input": "leave"}\n```',
            '{"action": "Final Answer", "action_input": "30 days"}',
        ),
        (Xml(), "<tool>find</tool><tool_input>leave</tool_input>", "<final_answer>30 days</final_answer>"),
    ],
)
async def test_it_uses_tools_until_it_answers(protocol: TextProtocol, call: str, answer: str) -> None:
    model = writes(call, answer)
    text, ended = await done(Job(model, ASKED, [FIND]), protocol)
    assert text == "30 days"
    assert [(use.tool, use.input, use.output) for use in ended.uses] == [("find", {"input": "leave"}, "Thirty days.")]
    system, *_, told = model.calls[-1]
    assert "find: Does find." in str(system.content)
    assert "Thirty days." in str(told.content)
    assert "<data-" in str(told.content)


async def test_the_loop_fits_the_model() -> None:
    text, ended = await done(Job(writes('{"action": "find", "action_input": "x"}', "30"), ASKED, [FIND]), None)
    assert text == "30"
    assert ended.uses[0].tool == "find"


async def test_without_tools_words_are_the_answer() -> None:
    text, _ = await done(Job(writes("Thought: hm"), ASKED), React())
    assert text == "Thought: hm"


async def test_mistakes_are_told_until_the_words_are_taken_as_they_are() -> None:
    model = writes("Thought: hm", "Action: find", "Action Input: x", "Thought: well")
    text, _ = await done(Job(model, ASKED, [FIND]), React())
    assert text == "Thought: well"
    assert "neither an Action nor a Final Answer" in str(model.calls[1][-1].content)
    assert "without an Action Input" in str(model.calls[2][-1].content)


async def test_rounds_end() -> None:
    text, ended = await done(Job(writes("Action: find\nAction Input: x"), ASKED, [FIND], Limits(rounds=2)), React())
    assert ended.exhausted
    assert "2 rounds" in text
    assert len(ended.uses) == 2


async def test_failures_and_unknown_tools_are_told() -> None:
    model = writes("Action: failing\nAction Input: x", "Action: fly\nAction Input: x", "Final Answer: no")
    text, ended = await done(Job(model, ASKED, [FAILING]), React())
    assert text == "no"
    assert "on fire" in str(model.calls[1][-1].content)
    assert "There is no tool 'fly'" in str(ended.uses[1].error)


async def test_sources_are_numbered() -> None:
    finding = tool("find", Outcome("x", PASSAGES, quotes=True))
    _, ended = await done(Job(writes("Action: find\nAction Input: x", "Final Answer: [1]"), ASKED, [finding]), React())
    assert ended.sources == PASSAGES


async def test_a_person_is_asked_here_too() -> None:
    guarded = tool("pay", "paid", requires_human=True)
    _, ended = await done(Job(writes("Action: pay\nAction Input: 5"), ASKED, [guarded]), React())
    assert ended.waits is not None
    state = json.loads(json.dumps(ended.waits.state))
    model = writes("Final Answer: done")
    text, ended = await done(Job(model, (), [guarded], resumed=Resumed(state, Decision.PROCEED)), React())
    assert text == "done"
    assert str(model.calls[0][-1].content).startswith("Observation: ")
    assert ended.uses[0].output == "paid"


async def test_models_that_can_call_are_offered_tools_and_may_use_words(stub: OpenAIStub, chat: BaseChatModel) -> None:
    stub.script(Script(calls=[Called("add", {"a": 1, "b": 2})]))
    stub.script(Script(reply='{"action": "find", "action_input": "x"}'))
    stub.script(Script(reply="Three."))
    text, ended = await done(Job(chat, ASKED, [ADD, FIND]), Words())
    assert text == "Three."
    assert [use.tool for use in ended.uses] == ["add", "find"]
    assert stub.requests[0].body["tools"]


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("Just an answer.", "Just an answer."),
        ("Final Answer: 4", "4"),
        ("Thought: x\nAction: find\nAction Input: a b", Call("call_1", "find", {"input": "a b"})),
        ('**Action:** `find`\n**Action Input:** "a b"', Call("call_1", "find", {"input": "a b"})),
        ('Action: add\nAction Input: {"a": 1, "b": 2}', Call("call_1", "add", {"a": 1, "b": 2})),
        ('Action 1: add\nAction Input 1: {"a": 1,\n "b": 2}', Call("call_1", "add", {"a": 1, "b": 2})),
        (
            "Action: find\nAction Input: x\nObservation: made up\nFinal Answer: no",
            Call("call_1", "find", {"input": "x"}),
        ),
        ("Action: find\nAction Input: x\n\nThought: then\nFinal Answer: no", Call("call_1", "find", {"input": "x"})),
        ("Action: add\nAction Input: one", Call("call_1", "add", {}, "The input is no JSON object.")),
        ("Action: fly\nAction Input: x", Call("call_1", "fly", {})),
    ],
)
def test_thoughts_and_actions_are_read(words: str, read: Call | str) -> None:
    assert React().read(words, TOOLS, 1) == read


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("Plain words {with} braces", "Plain words {with} braces"),
        ('{"action": "Final Answer", "action_input": "4"}', "4"),
        ('{"action": "final_answer", "action_input": {"n": 4}}', '{"n": 4}'),
        ('Sure:\n```json\n{"action": "find", "action_input": "x"}\n```', Call("call_1", "find", {"input": "x"})),
        ('{"action": "add", "action_input": {"a": 1, "b": 2}}', Call("call_1", "add", {"a": 1, "b": 2})),
        ('{"action": "add", "action_input": "{\\"a\\": 1, \\"b\\": 2}"}', Call("call_1", "add", {"a": 1, "b": 2})),
        ('{"n": 4}', '{"n": 4}'),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_actions_as_json_are_read(words: str, read: Call | str) -> None:
    assert Words().read(words, TOOLS, 1) == read


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(list('AIT:actionInpuTFlwer \n{}[]"`<>/_0')), max_size=80))
def test_any_words_are_an_answer_a_call_or_a_mistake(words: str) -> None:
    for protocol in (React(), Words(), Xml()):
        try:
            read = protocol.read(words, TOOLS, 1)
        except BadWords:
            continue
        assert isinstance(read, str | Call)
