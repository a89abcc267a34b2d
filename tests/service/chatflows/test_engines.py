"""LlamaIndex engines, synthesizers and chains that choose, over a stub model and a library of passages."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.chatflows.engine import compile_flow, default_model
from service.chatflows.graph import parse
from service.chatflows.run import Backing, Quoted, Run
from service.chatflows.steps.chat_openai import MissingExtra
from service.chatflows.steps.engines import read_parts, renumbered
from service.chatflows.steps.synthesizers import ROOM, Piece, packed
from service.chatflows.types import FlowNotRunnable, Passage, Role, Sources, StepEvent, Thinking, Token, Turn, Usage
from service.providers import chat
from service.providers.defaults import Defaults
from tests.service.chatflows.flows import edge, graph, node
from tests.stubs.model_servers import ModelStub
from tests.stubs.openai_server import KEY, Script, near

LEAVE, DOORS = uuid4(), uuid4()
PASSAGES = {
    LEAVE: (Passage("l1", "Leave is 30 days.", {"source": "leave.md"}, 0.9), Passage("l2", "Ask Anna.", {}, 0.8)),
    DOORS: (Passage("d1", "Doors open at 8.", {"title": "Doors"}, 0.7),),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ModelStub]:
    with ModelStub() as stub:
        yield stub


@pytest.fixture
def stub(server: ModelStub) -> ModelStub:
    server.reset()
    return server


async def search(workspace: UUID, store: UUID, question: str, *, k: int, **asked: Any) -> Sequence[Passage]:
    return PASSAGES.get(store, PASSAGES[LEAVE])[:k]


async def quote(question: str, passages: Sequence[Passage]) -> Quoted:
    return Quoted((passages[0].text, " [1]"), tuple(passages[:1]), True)


async def reveal(workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
    return {"openAIApiKey": KEY, "anthropicApiKey": KEY}


LENT = Backing(search, quote, reveal, near())


@asynccontextmanager
async def running(flow: str) -> AsyncIterator[Callable[..., Any]]:
    compiled = compile_flow(parse(flow))
    await compiled.prepare(uuid4(), LENT)

    async def ask(question: str, history: Sequence[Turn] = (), *, whole: bool = False) -> list[StepEvent]:
        run = Run(uuid4(), uuid4(), "c", "s", question, history, LENT, whole=whole)
        return [event async for event in compiled.run(run)]

    try:
        yield ask
    finally:
        await compiled.close()


def text(events: Sequence[StepEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def sources(events: Sequence[StepEvent]) -> list[str]:
    return [passage.id for event in events if isinstance(event, Sources) for passage in event.passages]


def model(stub: ModelStub, identifier: str = "m", name: str = "chatOpenAI_LlamaIndex") -> dict[str, Any]:
    return node(identifier, name, "Chat Models", {"basepath": stub.url, "modelName": identifier})


def store(identifier: str, chosen: UUID) -> dict[str, Any]:
    return node(identifier, "documentStoreVS", "Vector Stores", {"selectedStore": str(chosen)})


def said(request: Any) -> str:
    return "\n".join(str(message["content"]) for message in request.body["messages"])


def query_engine(stub: ModelStub, synthesizer: str = "", **inputs: Any) -> str:
    nodes = [model(stub), store("s", LEAVE), node("q", "queryEngine", "Engine", {"returnSourceDocuments": True})]
    links = [edge("s", "q", "vectorStoreRetriever"), edge("m", "q", "model")]
    if synthesizer:
        nodes.append(node("y", synthesizer, "Response Synthesizer", inputs))
        links.append(edge("y", "q", "responseSynthesizer"))
    return graph(nodes, links)


async def test_a_context_engine_finds_for_the_message_and_remembers(stub: ModelStub) -> None:
    engine = node(
        "e", "contextChatEngine", "Engine", {"returnSourceDocuments": True, "systemMessagePrompt": "You are Otto."}
    )
    flow = graph(
        [model(stub), store("s", LEAVE), node("r", "bufferMemory", "Memory"), engine],
        [edge("m", "e", "model"), edge("s", "e", "vectorStoreRetriever"), edge("r", "e", "memory")],
    )
    async with running(flow) as ask:
        events = await ask("And Anna?", [Turn(Role.USER, "How many days?"), Turn(Role.MODEL, "30")])
    assert sources(events) == ["l1", "l2"]
    (asked,) = stub.requests  # nothing is rephrased
    roles = [message["role"] for message in asked.body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "You are Otto." in said(asked)
    assert "Leave is 30 days." in asked.body["messages"][0]["content"]


async def test_a_simple_engine_talks(stub: ModelStub) -> None:
    engine = node("e", "simpleChatEngine", "Engine", {"systemMessagePrompt": "You are Otto."})
    flow = graph(
        [model(stub), node("r", "bufferMemory", "Memory"), engine],
        [edge("m", "e", "model"), edge("r", "e", "memory")],
    )
    stub.script(Script(reply="Hello."))
    async with running(flow) as ask:
        assert text(await ask("Hi", [Turn(Role.USER, "before")])) == "Hello."
    assert [message["content"] for message in stub.requests[0].body["messages"]] == ["You are Otto.", "before", "Hi"]


async def test_a_query_engine_answers_in_one_call_where_the_passages_fit(stub: ModelStub) -> None:
    stub.script(Script(reply="30 days [1]."))
    async with running(query_engine(stub)) as ask:
        events = await ask("How many days?")
    assert (text(events), sources(events)) == ("30 days [1].", ["l1", "l2"])
    (asked,) = stub.requests
    assert asked.body["stream"] is True
    assert "Query: How many days?" in said(asked)
    assert sum(isinstance(event, Usage) for event in events) == 1


async def test_the_model_behind_a_vector_store_answers_its_query_engine(stub: ModelStub) -> None:
    nodes = [
        model(stub, "behind"),
        node("v", "simpleStoreLlamaIndex", "Vector Stores"),
        node("e", "openAIEmbedding_LlamaIndex", "Embeddings"),  # for upserts alone: no credential is missed
        node("q", "queryEngine", "Engine"),
    ]
    links = [edge("behind", "v", "model"), edge("e", "v", "embeddings"), edge("v", "q", "vectorStoreRetriever")]
    async with running(graph(nodes, links)) as ask:
        events = await ask("How many days?")
    assert stub.requests[-1].body["model"] == "behind"
    assert sources(events) == []


async def test_without_a_model_a_query_engine_quotes() -> None:
    flow = graph([store("s", LEAVE), node("q", "queryEngine", "Engine")], [edge("s", "q", "vectorStoreRetriever")])
    async with running(flow) as ask:
        assert text(await ask("How many days?")) == "Leave is 30 days. [1]"


async def test_refining_goes_on_from_the_answer_so_far(stub: ModelStub) -> None:
    stub.script(Script(reply="first {query}"))
    stub.script(Script(reply="second"))
    flow = query_engine(stub, "refineLlamaIndex", refinePrompt="R {query} | {existingAnswer} | {context}")
    async with running(flow) as ask:
        events = await ask("How many days?")
    assert text(events) == "second"
    before, after = stub.requests
    assert not before.body.get("stream")
    assert after.body["stream"] is True
    assert "first {query}" in said(after)  # what was put in is not filled again
    assert "Ask Anna." in said(after)
    assert "Ask Anna." not in said(before)


async def test_a_tree_of_summaries_is_built_side_by_side(stub: ModelStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.chatflows.steps.synthesizers.ROOM", 20)
    stub.script(Script(reply=lambda messages: "30 [1]" if "30 days" in str(messages) else "Anna [2]"), times=2)
    stub.script(Script(reply="30, says Anna [1][2]."))
    async with running(query_engine(stub, "treeSummarizeLlamaIndex")) as ask:
        events = await ask("How many days?")
    assert text(events) == "30, says Anna [1][2]."
    assert len(stub.requests) == 3
    assert "Keep the numbers" in said(stub.requests[-1])


async def test_a_simple_builder_asks_once(stub: ModelStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.chatflows.steps.synthesizers.ROOM", 20)
    async with running(query_engine(stub, "simpleResponseBuilderLlamaIndex")) as ask:
        await ask("How many days?")
    (asked,) = stub.requests
    assert "Leave is 3\n" in said(asked)
    assert "Ask Anna." in said(asked)


def test_texts_share_prompts_as_far_as_they_fit() -> None:
    long, short = Piece("x" * (ROOM + 5)), Piece("y")
    parts = packed([short, long, short])
    assert [[len(piece.text) for piece in part] for part in parts] == [[1], [ROOM], [5, 1]]


def sub_questions(stub: ModelStub) -> str:
    nodes = [model(stub), node("z", "subQuestionQueryEngine", "Engine", {"returnSourceDocuments": True})]
    nodes.append(node("e", "openAIEmbedding_LlamaIndex", "Embeddings"))
    links = [edge("m", "z", "model"), edge("e", "z", "embeddings")]
    for number, (name, chosen) in enumerate((("leave", LEAVE), ("doors", DOORS))):
        nodes += [
            store(f"s{number}", chosen),
            node(f"q{number}", "queryEngine", "Engine"),
            node(f"t{number}", "queryEngineToolLlamaIndex", "Tools", {"toolName": name, "toolDesc": f"About {name}."}),
        ]
        links += [
            edge(f"s{number}", f"q{number}", "vectorStoreRetriever"),
            edge("m", f"q{number}", "model"),
            edge(f"q{number}", f"t{number}", "baseQueryEngine"),
            edge(f"t{number}", "z", "queryEngineTools"),
        ]
    return graph(nodes, links)


def parts_reply(messages: Sequence[Mapping[str, Any]]) -> str:
    told = " ".join(str(message["content"]) for message in messages)
    if "JSON array" in told:
        asked = [{"tool": "leave", "question": "How many days?"}, {"tool": "doors", "question": "When?"}]
        return f"Here: {json.dumps(asked)}"
    if "Doors open at 8." in told and "Answer:" in told and "Question:" not in told:
        return "At 8 [1]."
    if "Leave is 30 days." in told and "Question:" not in told:
        return "30 [1], by Anna [2][9]."
    return "30 days [1]; doors open at 8 [3]."


async def test_a_question_is_taken_apart_and_its_sources_survive(stub: ModelStub) -> None:
    stub.script(Script(reply=parts_reply), times=None)
    async with running(sub_questions(stub)) as ask:
        events = await ask("Leave and doors?")
    assert text(events) == "30 days [1]; doors open at 8 [3]."
    assert sources(events) == ["l1", "l2", "d1"]
    assert len(stub.requests) == 4
    last = said(stub.requests[-1])
    assert "30 [1], by Anna [2]." in last
    assert "At 8 [3]." in last
    assert [bool(asked.body.get("stream")) for asked in stub.requests] == [False, False, False, True]
    assert sum(isinstance(event, Usage) for event in events) == 4


async def test_a_model_that_takes_nothing_apart_leaves_the_question_to_all(stub: ModelStub) -> None:
    stub.script(Script(reply="I cannot do that."))
    async with running(sub_questions(stub)) as ask:
        events = await ask("Leave and doors?")
    assert len(stub.requests) == 4
    assert sources(events) == ["l1", "l2", "d1"]


async def test_giving_up_ends_every_part(stub: ModelStub) -> None:
    stub.script(Script(reply=parts_reply))
    stub.script(Script(hang=True), times=2)
    async with running(sub_questions(stub)) as ask:
        task = asyncio.ensure_future(ask("Leave and doors?"))
        while len(stub.requests) < 3:  # noqa: ASYNC110 - the stub tells nobody
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for index in (1, 2):
            assert (await asyncio.to_thread(stub.wait_until_ended, index)).disconnected
    stub.reset()


def test_parts_that_are_broken_are_left_out() -> None:
    tools: Any = {"a": None, "b": None}
    asked = '[{"tool": "a", "question": "x"}, {"tool": "c", "question": "y"}, {"tool": "a", "question": "x"}, 3]'
    assert read_parts(asked, tools) == [("a", "x")]
    assert read_parts('[{"tool": ["a"], "question": "x"}, {"tool": "a", "question": ["x"]}]', tools) == []
    assert read_parts("[1, 2", tools) == []


def test_numbers_follow_their_passages() -> None:
    known = [PASSAGES[LEAVE][0]]
    assert renumbered("x [1] y [2] z [3]", [PASSAGES[DOORS][0], PASSAGES[LEAVE][0]], known) == "x [2] y [1] z"
    assert [passage.id for passage in known] == ["l1", "d1"]


def several(stub: ModelStub | None) -> str:
    nodes = [node("c", "multiRetrievalQAChain", "Chains", {"returnSourceDocuments": True})]
    links = []
    if stub is not None:
        nodes.append(model(stub))
        links.append(edge("m", "c", "model"))
    for number, (name, chosen) in enumerate((("leave", LEAVE), ("doors", DOORS))):
        named = {"name": name, "description": f"About {name}."}
        nodes += [store(f"s{number}", chosen), node(f"r{number}", "vectorStoreRetriever", "Retrievers", named)]
        links += [edge(f"s{number}", f"r{number}", "vectorStore"), edge(f"r{number}", "c", "vectorStoreRetriever")]
    return graph(nodes, links)


async def test_the_model_chooses_the_retriever(stub: ModelStub) -> None:
    stub.script(Script(reply='{"name": "doors"}'))
    stub.script(Script(reply="At 8 [1]."))
    async with running(several(stub)) as ask:
        events = await ask("When do doors open?")
    assert (text(events), sources(events)) == ("At 8 [1].", ["d1"])
    assert "About leave." in said(stub.requests[0])
    assert "Doors open at 8." in said(stub.requests[1])
    assert sum(isinstance(event, Usage) for event in events) == 2


async def test_without_one_that_fits_the_model_answers_alone(stub: ModelStub) -> None:
    stub.script(Script(reply='{"name": ""}'))
    stub.script(Script(reply="Hello!"))
    async with running(several(stub)) as ask:
        events = await ask("Hello")
    assert (text(events), sources(events)) == ("Hello!", [])
    assert [message["role"] for message in stub.requests[1].body["messages"]] == ["user"]


async def test_a_model_that_quotes_is_given_what_all_of_them_find() -> None:
    async with running(several(None)) as ask:
        assert text(await ask("How many days?")) == "Leave is 30 days. [1]"


async def test_a_prompt_is_chosen_by_its_description(stub: ModelStub) -> None:
    named = {"name": "poet", "description": "Writes poems.", "systemMessage": "You rhyme."}
    flow = graph(
        [model(stub), node("p", "promptRetriever", "Retrievers", named), node("c", "multiPromptChain", "Chains")],
        [edge("m", "c", "model"), edge("p", "c", "promptRetriever")],
    )
    stub.script(Script(reply='{"name": "poet"}'))
    async with running(flow) as ask:
        await ask("A poem!")
    assert [message["content"] for message in stub.requests[1].body["messages"]] == ["You rhyme.", "A poem!"]


async def test_a_vector_store_itself_is_answered_from(stub: ModelStub) -> None:
    flow = graph(
        [model(stub), store("s", LEAVE), node("c", "vectorDBQAChain", "Chains")],
        [edge("m", "c", "model"), edge("s", "c", "vectorStore")],
    )
    async with running(flow) as ask:
        assert sources(await ask("How many days?", [Turn(Role.USER, "before")])) == ["l1", "l2"]
    assert len(stub.requests) == 1


async def test_what_a_model_thinks_aloud_is_told_apart_and_timed(
    stub: ModelStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(chat.services.OWN_PROTOCOLS, "anthropic", (stub.root, ()))
    thinker = node(
        "m",
        "chatAnthropic",
        "Chat Models",
        {"extendedThinking": True, "maxTokensToSample": ""},
        credential=str(uuid4()),
    )
    flow = graph(
        [thinker, store("s", LEAVE), node("c", "retrievalQAChain", "Chains")],
        [edge("m", "c", "model"), edge("s", "c", "vectorStoreRetriever")],
    )
    stub.script(Script(thought="Hm. Yes.", reply="30."), times=2)
    async with running(flow) as ask:
        streamed, whole = await ask("How many days?"), await ask("How many days?", whole=True)
    for events in (streamed, whole):
        assert text(events) == "30."
        assert "".join(event.text for event in events if isinstance(event, Thinking)) == "Hm. Yes."
        (usage,) = (event for event in events if isinstance(event, Usage))
        assert (usage.model, usage.output_tokens) == ("claude-haiku-4-5", 1)
    assert any(isinstance(event, Thinking) and event.seconds is not None for event in streamed)
    sent = stub.requests[0].body
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert sent["max_tokens"] > 1024
    assert "temperature" not in sent


async def test_a_node_whose_library_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "find_spec", lambda name: None)
    flow = graph(
        [node("m", "chatOllama", "Chat Models", {"modelName": "m"}, label="My model"), store("s", LEAVE),
         node("c", "retrievalQAChain", "Chains")],
        [edge("m", "c", "model"), edge("s", "c", "vectorStoreRetriever")],
    )  # fmt: skip
    with pytest.raises(MissingExtra, match=r"My model.*ragstone\[ollama\]"):
        await compile_flow(parse(flow)).prepare(uuid4(), LENT)


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ("anthropic:a", "chatAnthropic"),
        ("mistral:b", "chatMistralAI"),
        ("ollama:c:7b", "chatOllama"),
        ("groq:d", "groqChat"),
    ],
)
async def test_the_services_own_model_may_be_of_any_provider(chosen: str, name: str) -> None:
    step = default_model(chosen)
    assert step.node.name == name
    assert step.node.inputs["modelName"] == chosen.partition(":")[2]
    keys = {"anthropic": "sk-a", "mistral": "sk-m", "groq": "sk-g"}
    await step.prepare(uuid4(), Backing(search, quote, reveal, Defaults(keys=keys)))
    await step.close()


@pytest.mark.parametrize("chosen", ["openai:", "claude", "nobody:x"])
def test_a_setting_that_names_no_model_is_refused(chosen: str) -> None:
    with pytest.raises(FlowNotRunnable, match=r"RAGSTONE_CHAT_MODEL.*anthropic.*ollama"):
        default_model(chosen)
