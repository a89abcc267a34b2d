"""Whole answers: their shape, their sources, who remembers what."""

import json
import re

from tests.service.predictions.conftest import House
from tests.stubs.openai_server import Script

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def test_a_quoting_flow_answers_with_numbered_sources(house: House) -> None:
    flow = house.quoting(memory={"sessionId": ""})
    response = house.ask(flow, chatId="c1")
    assert response.status_code == 200, response.text
    body = response.json()
    assert list(body) == [
        "text",
        "sourceDocuments",
        "question",
        "chatId",
        "chatMessageId",
        "isStreamValid",
        "sessionId",
        "memoryType",
        "usageMetadata",
    ]
    assert body["text"] == "Every employee has 30 days of paid leave a year. [1]"
    (source,) = body["sourceDocuments"]
    assert source["pageContent"] == "Every employee has 30 days of paid leave a year."
    assert source["metadata"]["source"] == "handbook.md"
    assert {"title", "heading", "docId", "score", "chunkId"} <= source["metadata"].keys()
    assert (body["chatId"], body["sessionId"], body["memoryType"]) == ("c1", "c1", "Buffer Memory")
    assert body["isStreamValid"] is False
    assert UUID.fullmatch(body["chatMessageId"])


def test_a_quoted_sentence_is_found_again_in_its_source(house: House) -> None:
    house.shelf.chunks = [
        house.shelf._chunk(
            0, "The office in Bergen opens at eight. Every employee has 30 days of paid leave.", "Leave"
        ),
        house.shelf._chunk(1, "Unpaid leave has to be asked for in writing.", "Leave"),
    ]
    body = house.ask(house.quoting()).json()
    assert "[1]" in body["text"]
    for number, source in enumerate(body["sourceDocuments"], 1):
        assert source["metadata"]["quotes"]
        for place in source["metadata"]["quotes"]:
            quoted = source["pageContent"][place["start"] : place["end"]]
            assert f"{quoted} [{number}]" in body["text"]


def test_a_question_that_nothing_answers_is_said_to_be_so(house: House) -> None:
    body = house.ask(house.quoting(), "Who won the football cup in 1974?").json()
    assert "does not contain an answer" in body["text"]
    assert body["sourceDocuments"] == []
    assert "memoryType" not in body


def test_a_writing_flow_gets_the_passages_as_data(house: House) -> None:
    body = house.ask(house.writing()).json()
    assert body["text"] == "The stub has an answer. It comes in two sentences."
    assert [item["metadata"]["heading"] for item in body["sourceDocuments"]] == ["Leave", "Hours"]
    system, user = house.stub.requests[-1].body["messages"]
    assert 'kind="document" number="1" title="Handbook">\nEvery employee' in system["content"]
    assert user["content"] == "How many days of leave?"


def test_sources_are_left_out_where_the_chain_does_not_return_them(house: House) -> None:
    assert "sourceDocuments" not in house.ask(house.writing(chain={"returnSourceDocuments": False})).json()


def test_prompts_are_filled_and_the_old_system_message_stands_before(house: House) -> None:
    chain = {"responsePrompt": "Only {context} for {question}", "systemMessagePrompt": "Be brief."}
    house.ask(house.writing(chain=chain), "Why {context}?")
    system = house.stub.requests[-1].body["messages"][0]["content"]
    assert system.startswith("Be brief.\nOnly ")
    assert system.endswith("for Why {context}?")
    assert system.count('number="1"') == 1


def test_a_follow_up_question_is_rephrased_and_the_first_is_not(house: House) -> None:
    flow = house.writing()
    house.ask(flow, "How many days of leave?", chatId="c1")
    assert len(house.stub.requests) == 1
    house.stub.script(Script(reply="How many days of leave do interns have?"))
    house.ask(flow, "And interns?", chatId="c1")
    rephrase, answer = house.stub.requests[1:]
    assert "Human: How many days of leave?" in rephrase.body["messages"][0]["content"]
    assert house.shelf.asked == ["How many days of leave?", "How many days of leave do interns have?"]
    assert [item["content"] for item in answer.body["messages"][1:]] == [
        "How many days of leave?",
        "The stub has an answer. It comes in two sentences.",
        "And interns?",
    ]


def test_a_quoting_flow_looks_for_a_follow_up_with_one_earlier_turn(house: House) -> None:
    flow = house.quoting()
    for question in ("How many days of leave?", "When does the office open?", "And in Bergen?"):
        house.ask(flow, question, chatId="c1")
    assert house.shelf.asked[-1] == "When does the office open?\nAnd in Bergen?"


def test_history_of_the_request_stands_before_the_stored(house: House) -> None:
    flow = house.writing()
    house.ask(flow, "first", chatId="c1")
    history = [
        {"role": "userMessage", "content": "sent"},
        {"role": "apiMessage", "content": "along", "type": "x"},
        {"type": "userMessage", "message": "old style"},
        "junk",
    ]
    house.ask(flow, "second", chatId="c1", history=history)
    contents = [item["content"] for item in house.stub.requests[-1].body["messages"][1:]]
    assert contents[:3] == ["sent", "along", "first"]
    assert house.ask(flow, "third", chatId="c2", history="junk").status_code == 200


def test_both_messages_are_stored_once_with_what_the_model_took(house: House) -> None:
    flow = house.writing()
    body = house.ask(flow, chatId="c1", leadEmail="a@example.org").json()
    user, answer = house.messages(flow)
    assert (user["role"], user["content"], user["lead_email"]) == (
        "userMessage",
        "How many days of leave?",
        "a@example.org",
    )
    assert (answer["role"], answer["content"], str(answer["id"])) == ("apiMessage", body["text"], body["chatMessageId"])
    assert (answer["chat_type"], answer["state"], answer["caller"]) == ("EXTERNAL", "complete", "public")
    assert answer["usage"]["output_tokens"] == 10
    assert answer["source_documents"] == body["sourceDocuments"]


def test_ids_follow_the_rules_of_the_contract(house: House) -> None:
    flow = house.quoting(memory={"sessionId": "fixed"})

    def ids(**body: object) -> tuple[str, str]:
        answer = house.ask(flow, **body).json()  # type: ignore[arg-type]  # any field
        return answer["chatId"], answer["sessionId"]

    assert ids(chatId="c1", overrideConfig={"sessionId": "s1"}) == ("c1", "s1")
    assert ids(chatId="c1") == ("c1", "c1")
    assert ids(overrideConfig={"sessionId": "s1"}) == ("s1", "s1")
    chat, session = ids(chatId=None, overrideConfig=None)
    assert UUID.fullmatch(chat)
    assert session == "fixed"
    assert ids(chatId="", overrideConfig={"sessionId": ""}, sessionId="top")[1] == "fixed"
    streamed = house.ask(flow, streaming=True).text  # the quirk: a streamed call passes the fixed session by
    metadata = json.loads(streamed.split('data:{"event":"metadata","data":')[1].split("}\n")[0])
    assert metadata["sessionId"] == metadata["chatId"] != "fixed"


def test_a_fixed_session_is_remembered_across_chats(house: House) -> None:
    flow = house.writing(memory={"sessionId": "fixed"})
    house.ask(flow, "first")
    house.ask(flow, "second")
    assert "first" in house.stub.requests[1].body["messages"][0]["content"]


def test_other_overrides_have_no_effect(house: House) -> None:
    flow = house.writing()
    overrides = {"modelName": "evil", "systemMessage": "obey", "basepath": "http://127.0.0.1:1", "chatHistory": ["x"]}
    assert house.ask(flow, overrideConfig={**overrides, "chatId": "victim", "vars": {"a": 1}}).status_code == 200
    assert house.stub.requests[-1].body["model"] == "stub-model"


def test_hostile_text_is_stored_and_answered(house: House) -> None:
    flow = house.writing()
    house.stub.script(Script(reply="nul \0 and \ud800 surrogate"))
    raw = b'{"question": "a\\u0000b \\ud83d c", "chatId": "x\\u0000y", "history": null, "uploads": []}'
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    response = house.client.post(url, content=raw, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["question"] == "ab \ufffd c"
    assert body["chatId"] == "xy"
    assert "\0" not in body["text"]
    assert house.messages(flow)[1]["content"] == body["text"]
