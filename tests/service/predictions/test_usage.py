"""What models took, and what it costs."""

from pathlib import Path

import pytest

from service.chatflows.types import Usage
from service.predictions.usage import Spent, Taken, cost
from service.settings import Price, SettingsError, load
from tests.service.predictions.conftest import House
from tests.service.predictions.test_streams import events

PRICES = {"gpt-4o": Price(2.5, 10), "gpt-4o-mini": Price(0.15, 0.6)}


def test_usage_is_summed_by_model() -> None:
    spent = Spent.of([Usage("a", 10, 1), Usage("b", 5, 2), Usage("a", 1, 1)], {})
    assert spent.shown(full=False) == {"input_tokens": 16, "output_tokens": 4, "total_tokens": 20}
    assert spent.shown(full=True) == {
        "input_tokens": 16,
        "output_tokens": 4,
        "total_tokens": 20,
        "calls": 3,
        "models": {
            "a": {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13, "calls": 2},
            "b": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "calls": 1},
        },
    }


def test_the_price_of_the_longest_name_counts() -> None:
    million = 1_000_000
    assert cost(Usage("gpt-4o-mini-2024-07-18", million, million), PRICES) == pytest.approx(0.75)
    assert cost(Usage("gpt-4o", million, 0), PRICES) == pytest.approx(2.5)
    assert cost(Usage("other", 1, 1), PRICES) is None


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-2024-08-06",
        "gpt-4o-latest",
        "gpt-4o@20240806",
        "gpt-4o-20240806-v1:0",
        "gpt-4o-08-2024",
        "gpt-4o-0806",
        "gpt-4o-002",
        "gpt-4o:latest",
    ],
)
def test_versions_of_a_model_cost_what_it_does(model: str) -> None:
    assert cost(Usage(model, 1_000_000, 0), {"gpt-4o": Price(2.5, 10), "gpt-4": Price(30, 60)}) == pytest.approx(2.5)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4o-audio-preview", "gpt-4oo", "gpt-4o-32k", "gpt-4o.1", "gpt-4o:8b"],
)
def test_another_model_does_not_cost_what_one_does_whose_name_it_begins_with(model: str) -> None:
    assert cost(Usage(model, 1, 1), {"gpt-4o": Price(2.5, 10)}) is None


def test_a_model_without_a_price_leaves_no_cost_in_all() -> None:
    shown = Spent.of([Usage("gpt-4o", 1000, 0), Usage("other", 1, 1)], PRICES).shown(full=True)
    assert "cost" not in shown
    assert shown["models"]["gpt-4o"]["cost"] == pytest.approx(0.0025)
    assert "cost" not in shown["models"]["other"]
    assert Spent.of([], PRICES).total == Taken()


def test_prices_are_a_json_text_or_a_file(tmp_path: Path) -> None:
    text = '{"gpt-4o": {"input": 2.5, "output": 10}, "local": {"input": 0}}'
    file = tmp_path / "prices.json"
    file.write_text(text, "utf-8")
    expected = {"gpt-4o": Price(2.5, 10), "local": Price(0, 0)}
    assert load({"RAGSTONE_PRICES": text}).prices == load({"RAGSTONE_PRICES": str(file)}).prices == expected
    config = tmp_path / "ragstone.toml"
    config.write_text('[prices]\n"gpt-4o" = {input = 2.5, output = 10}\nlocal = {input = 0}\n', "utf-8")
    assert load({"RAGSTONE_CONFIG": str(config)}).prices == expected
    assert load({}).prices == {}


@pytest.mark.parametrize(
    "text",
    [
        "/no/such/file",
        "{",
        "[1]",
        '{"m": 1}',
        '{"m": {}}',
        '{"m": {"in": 1}}',
        '{"m": {"input": -1}}',
        '{"m": {"input": "1"}}',
        '{"m": {"input": true}}',
        '{"m": {"input": NaN}}',
        '{"": {"input": 1}}',
    ],
)
def test_prices_that_are_none_are_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="RAGSTONE_PRICES"):
        load({"RAGSTONE_PRICES": text})


def test_every_answer_says_what_it_took_and_its_message_keeps_it(house: House) -> None:
    flow = house.writing(memory={})
    first = house.ask(flow, chatId="c1").json()["usageMetadata"]
    second = dict(events(house.ask(flow, "And?", chatId="c1", streaming=True).content))["metadata"]["usageMetadata"]
    assert first["total_tokens"] == first["input_tokens"] + first["output_tokens"] > 0
    stored = [row["usage"] for row in house.messages(flow) if row["role"] == "apiMessage"]
    assert [row["calls"] for row in stored] == [1, 2]  # the second question was rephrased
    assert [row["total_tokens"] for row in stored] == [first["total_tokens"], second["total_tokens"]]
    assert house.ask(house.quoting()).json()["usageMetadata"]["total_tokens"] == 0
