"""A function of the author's, in JavaScript: it answers, or gives a text to nodes that name it."""

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import Anchor, EndingStep, Links, StepOptions, TextStep, spoken
from service.chatflows.steps.scripts import as_text, need_script, values
from service.chatflows.texts import Known
from service.chatflows.types import StepEvent, Structured, Token
from service.concurrency import together
from service.json_text import parsed

_PLACE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")


def _object(value: Any) -> Any:
    return (parsed(value) if value.strip() else {}) if isinstance(value, str) else value


class CustomFunctionOptions(StepOptions):
    """Fields of the node."""

    function_input_variables: Annotated[dict[str, Any], BeforeValidator(_object)] = Field(
        default_factory=dict, title="Input Variables", description="Values by name, as JSON; the function has $name."
    )
    function_name: str = Field("", title="Function Name")
    javascript_function: str = Field(
        "", title="Javascript Function", max_length=200_000, description="The body of an async function."
    )

    @field_validator("function_name", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else value


class CustomFunction(EndingStep):
    """Runs a function, apart from the service."""

    label = "Custom JS Function"
    category = "Utilities"
    version = 2
    base_classes = ("CustomFunction", "Utilities")
    outputs = ("output", "EndingNode")
    fills = True
    anchors = (Anchor("functionInputVariables", TextStep, "Input Variables", optional=True, many=True, named=True),)
    Options = CustomFunctionOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `CustomFunctionOptions`."""
        super().__init__(node, options, links)
        self._options: CustomFunctionOptions = options
        behind = links.get("functionInputVariables", ())
        self._behind = {step.node.id: step for step in behind if isinstance(step, TextStep)}

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Raises `FlowNotRunnable` where JavaScript is not switched on."""
        need_script(self, backing)

    async def text(self, run: Run) -> str:
        """What the function returns, as text. Raises `ScriptFailed`."""
        return as_text(await self._value(run))

    async def answer(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """What the function returns: a text, or a JSON value. Raises `ScriptFailed`."""
        value = await self._value(run)
        yield Structured(value) if isinstance(value, dict | list) else Token(as_text(value))

    async def _value(self, run: Run) -> Any:
        texts = await together(*(spoken(step, run) for step in self._behind.values()))
        said = {f"{name}.data.instance": text for name, text in zip(self._behind, texts, strict=True)}
        known = Known(run, more=said)
        given = {name: _filled(value, known) for name, value in self._options.function_input_variables.items()}
        assert run.backing.script is not None
        return await run.backing.script(self._options.javascript_function, values(run, given))


def _filled(value: Any, known: Known) -> Any:
    """A value with what stands for its places, the texts of nodes that it names among them, put in once."""
    if not isinstance(value, str):
        return value
    return _PLACE.sub(lambda place: known.get(place[1], place[0]), value)
