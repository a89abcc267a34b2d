"""Runs what stands in it, once for each item of a list."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Items, Moment
from service.agentflows.templates import Template, shown, value_of
from service.agentflows.types import BadValue, Done
from service.chatflows.types import StepEvent
from service.json_text import lenient

MAX_ITEMS = 1_000

_BLOCK = re.compile(r"```\w*\n(.*?)```", re.DOTALL)

STRUCTURES = ("aggregatedText", "jsonArray")
"""What becomes of the answers: a text of them all, or a JSON list with a value for each item."""


class Iteration(FlowNode):
    """Runs its nodes for each item of a list."""

    label = "Iteration"

    def read(self, maker: Maker) -> None:
        """The list."""
        self._input = Template.parse(self.node.inputs.get("iterationInput"))
        if not self._input:
            maker.problem("iterationInput: there is no list to go through")
        self._listed = self.choice("iterationOutputStructure", STRUCTURES) == "jsonArray"

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """What the nodes do, then their answers, a line each or as a JSON list. Raises `BadValue` for an input that is
        no list."""
        items = self._items(moment)
        texts: tuple[str, ...] = ()
        assert moment.each is not None
        events = moment.each(items)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Items):
                    texts = event.texts
                else:
                    yield event
        results = [value_of(text) for text in texts] if self._listed else list(texts)
        text = shown(results) if self._listed else "\n".join(texts)
        yield Done(
            text=text,
            output={"iterationResults": results, "content": text},
            input={"iterationInput": items},
        )

    def _items(self, moment: Moment) -> list[Any]:
        value = self._input.value(moment)
        if isinstance(value, str):
            value = _list_in(value)
        if not isinstance(value, list):
            raise BadValue(f"{self.title}: iterationInput: '{shown(value)[:200]}' is no list")
        if len(value) > MAX_ITEMS:
            raise BadValue(f"{self.title}: iterationInput: {len(value)} items, more than {MAX_ITEMS}")
        return value


def _list_in(text: str) -> Any:
    """The list in a text: JSON or JSON5, or what a model wrote around a block of code with it; of anything else the
    text itself."""
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body.strip("`").removeprefix("json").strip()
    elif block := _BLOCK.search(body):
        body = block[1].strip()
    if not body:
        return []
    try:
        return lenient(body)
    except ValueError:
        return text
