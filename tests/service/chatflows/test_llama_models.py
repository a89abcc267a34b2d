"""The chat models of LlamaIndex's nodes: what their services are asked for."""

from collections.abc import Iterator

import pytest
from langchain_core.messages import HumanMessage

from service.chatflows.graph import Node
from service.chatflows.steps.llama_models import DATED, AnthropicLlamaIndex
from service.providers.chat.base import close_chat_model
from tests.stubs.model_servers import ModelStub
from tests.stubs.models import chat_at


@pytest.fixture(scope="module")
def stub() -> Iterator[ModelStub]:
    with ModelStub() as made:
        yield made


@pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")  # the SDK's, of models that end soon
@pytest.mark.parametrize("name", [*DATED, "claude-haiku-4-5", "claude-3-5-sonnet-20241022"])
async def test_anthropic_is_asked_for_a_model_by_the_name_that_it_knows(stub: ModelStub, name: str) -> None:
    inputs = {"modelName": name, "temperature": 0.9, "maxTokensToSample": "", "topP": ""}
    node = Node("m", "chatAnthropic_LlamaIndex", "ChatAnthropic", "Chat Models", inputs, "", "")
    model = chat_at("anthropic", stub, **AnthropicLlamaIndex.build(node, {}).fields())
    await model.ainvoke([HumanMessage("Hello?")])
    asked = stub.requests[-1].body["model"]
    await close_chat_model(model)
    assert asked == DATED.get(name, name)
    assert name not in DATED or asked[-8:].isdigit()
