"""Chains without documents, prompts with values, windows of memory, single questions: what the model is sent."""

import json
from typing import Any

import pytest

from service.chatflows.steps.prompt_template import Format
from service.chatflows.steps.window_memory import last
from service.chatflows.types import Role, Turn
from tests.service.chatflows.flows import edge, graph, node, openai, rag
from tests.service.predictions.conftest import House


def chain(house: House, kind: str, links: list[tuple[dict[str, Any], str]], **inputs: Any) -> str:
    """A flow that ends in a chain over a model that writes, with more nodes linked to it; its id."""
    model = openai(house.stub.url)
    nodes = [model, node("chain_0", kind, "Chains", inputs), *(item for item, _ in links)]
    edges = [edge(model["id"], "chain_0", "model"), *(edge(item["id"], "chain_0", anchor) for item, anchor in links)]
    return house.flow(graph(nodes, edges))


def prompt(template: str, values: Any = "") -> tuple[dict[str, Any], str]:
    """A prompt, to be linked."""
    inputs = {"template": template, "promptValues": values if isinstance(values, str) else json.dumps(values)}
    return node("prompt_0", "promptTemplate", "Prompts", inputs), "prompt"


def chat_prompt(anchor: str, **inputs: Any) -> tuple[dict[str, Any], str]:
    """A prompt of two messages, to be linked."""
    return node("prompt_0", "chatPromptTemplate", "Prompts", inputs), anchor


def memory(name: str, **inputs: Any) -> tuple[dict[str, Any], str]:
    """A memory, to be linked."""
    return node("memory_0", name, "Memory", inputs), "memory"


def sent(house: House) -> list[tuple[str, str]]:
    """What the model was sent last: role and text."""
    return [(item["role"], item["content"]) for item in house.stub.requests[-1].body["messages"]]


def test_a_chain_asks_what_its_prompt_says(house: House) -> None:
    flow = chain(house, "llmChain", [prompt("A name for {product}?", {"product": "{{question}}"})])
    body = house.ask(flow, "socks").json()
    assert sent(house) == [("user", "A name for socks?")]
    assert body["text"] == "The stub has an answer. It comes in two sentences."
    assert "sourceDocuments" not in body
    assert "memoryType" not in body


def test_the_one_value_that_nobody_gives_is_the_question(house: House) -> None:
    house.ask(chain(house, "llmChain", [prompt("Say {what} in {tongue}.", {"tongue": "Latin"})]), "hello")
    assert sent(house) == [("user", "Say hello in Latin.")]


def test_values_that_nobody_gives_are_named(house: House) -> None:
    refused = house.own(chain(house, "llmChain", [prompt("{one} and {two}")]), "hello")
    assert refused.status_code == 422
    assert "promptValues: give values for one, two" in refused.json()["error"]


def test_what_is_put_in_is_not_looked_at_again(house: House) -> None:
    flow = chain(house, "llmChain", [prompt("{a}{{not a place}} {{question}}", {"a": "{{question}}"})])
    house.ask(flow, "{a} {{question}} {b}")
    assert sent(house) == [("user", "{a} {{question}} {b}{not a place} {a} {{question}} {b}")]


def test_a_chain_streams_what_it_says_whole(house: House) -> None:
    flow = chain(house, "llmChain", [prompt("{q}")])
    whole = house.ask(flow, "hello").json()["text"]
    frames = house.ask(flow, "hello", streaming=True).text
    events = [json.loads(line[5:]) for line in frames.splitlines() if line.startswith("data:")]
    assert "".join(item["data"] for item in events if item["event"] == "token") == whole


def test_a_chat_prompt_says_two_messages(house: House) -> None:
    inputs = {
        "systemMessagePrompt": "Speak {tongue}.",
        "humanMessagePrompt": "{text}",
        "promptValues": '{"tongue":"Latin"}',
    }
    house.ask(chain(house, "llmChain", [chat_prompt("prompt", **inputs)]), "hello")
    assert sent(house) == [("system", "Speak Latin."), ("user", "hello")]


@pytest.mark.parametrize(
    ("links", "named"),
    [
        ([chat_prompt("prompt", messageHistoryCode="return []")], "messageHistoryCode"),
        ([prompt("{{$vars.name}}")], "{{$vars.name}}"),
        ([prompt("{a}", "{no json")], "promptValues"),
        ([], "prompt"),
    ],
)
def test_what_a_prompt_cannot_be_is_named(house: House, links: list[tuple[dict[str, Any], str]], named: str) -> None:
    refused = house.own(chain(house, "llmChain", links), "hello")
    assert refused.status_code == 422
    assert named in refused.json()["error"]


def test_a_model_that_only_quotes_cannot_talk(house: House) -> None:
    template, anchor = prompt("{q}")
    quoting = house.flow(graph([node("c", "llmChain", "Chains"), template], [edge("prompt_0", "c", anchor)]))
    refused = house.own(quoting, "hello")
    assert refused.status_code == 422
    assert "RAGSTONE_CHAT_MODEL" in refused.json()["error"]


def test_a_conversation_remembers(house: House) -> None:
    flow = chain(house, "conversationChain", [memory("bufferMemory")], systemMessagePrompt="Be kind.")
    house.ask(flow, "I am Anna.", chatId="c1")
    body = house.ask(flow, "Who am I?", chatId="c1").json()
    reply = "The stub has an answer. It comes in two sentences."
    assert sent(house) == [("system", "Be kind."), ("user", "I am Anna."), ("assistant", reply), ("user", "Who am I?")]
    assert body["memoryType"]


def test_a_prompt_speaks_for_the_conversation(house: House) -> None:
    words = chat_prompt("chatPromptTemplate", systemMessagePrompt="Rhyme.", humanMessagePrompt="Q: {input}")
    flow = chain(house, "conversationChain", [memory("bufferMemory"), words])
    house.ask(flow, "Hello", chatId="c1")
    house.ask(flow, "Again", chatId="c1")
    assert [role for role, _ in sent(house)] == ["system", "user", "assistant", "user"]
    assert (sent(house)[0][1], sent(house)[-1][1]) == ("Rhyme.", "Q: Again")


@pytest.mark.parametrize(
    ("name", "inputs", "seen"),
    [
        ("bufferWindowMemory", {"k": 1}, ["third", "fourth"]),
        ("bufferWindowMemory", {"k": "0"}, ["fourth"]),
        ("ZepMemory", {"k": 2, "baseURL": "http://zep:8000"}, ["second", "third", "fourth"]),
        ("RedisBackedChatMemory", {"windowSize": 1}, ["third", "fourth"]),
        ("RedisBackedChatMemory", {}, ["first", "second", "third", "fourth"]),
        ("upstashRedisBackedChatMemory", {}, ["first", "second", "third", "fourth"]),
        ("MongoDBAtlasChatMemory", {}, ["first", "second", "third", "fourth"]),
    ],
)
def test_a_window_shows_the_last_exchanges(house: House, name: str, inputs: dict[str, Any], seen: list[str]) -> None:
    flow = chain(house, "conversationChain", [memory(name, **inputs)])
    for question in ("first", "second", "third", "fourth"):
        house.ask(flow, question, chatId="c1")
    assert [text for role, text in sent(house) if role == "user"] == seen


def test_single_questions_are_answered_each_by_itself(house: House) -> None:
    data = json.loads(rag(house.shelf.store, model=openai(house.stub.url)))
    for item in data["nodes"]:
        if item["data"]["name"] == "conversationalRetrievalQAChain":
            item["data"]["name"] = "retrievalQAChain"
    flow = house.flow(json.dumps(data))
    house.ask(flow, "How many days of leave?", chatId="c1")
    asked = len(house.stub.requests)
    body = house.ask(flow, "And hours?", chatId="c1").json()
    assert len(house.stub.requests) == asked + 1  # nothing is rephrased
    assert [role for role, _ in sent(house)] == ["system", "user"]
    assert house.shelf.asked[-1] == "And hours?"
    assert body["sourceDocuments"]


def test_formats_know_their_places() -> None:
    text = Format.parse("a {b} {{question}} {{ }} {b} {c d}", "template")
    assert text.names == ("b", "c d")
    assert text.fill({"b": "1", "c d": "2"}, {"question": "q"}) == "a 1 q { } 1 2"


def test_a_window_begins_with_a_question() -> None:
    user, model = Turn(Role.USER, "u"), Turn(Role.MODEL, "m")
    assert last((user, model, user, user, model), 2) == (user, user, model)
    assert last((model, user, model), 5) == (model, user, model)
    assert last((), 3) == ()
