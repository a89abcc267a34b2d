"""Runs another flow of the workspace."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.nodes.conversation import RETURN_AS, speaker
from service.agentflows.state import Moment
from service.agentflows.templates import Template, changes, code
from service.agentflows.types import BadValue, Done, Message, Part
from service.answers.markers import Renumbering
from service.chatflows.run import Backing, Cited
from service.chatflows.steps.base import BadOption
from service.chatflows.steps.flow_tools import ELSEWHERE, look_up
from service.chatflows.types import (
    ActionWanted,
    Artifacts,
    FlowNotRunnable,
    Passage,
    Sources,
    StepEvent,
    Structured,
    Thinking,
    Token,
    ToolCalls,
    ToolsUsed,
    Usage,
)
from service.json_text import lenient

PASSED_ON = Thinking | ToolCalls | ToolsUsed | Artifacts | Usage
"""What the other flow says that is a part of this one; how its own nodes are is not."""


class ExecuteFlow(FlowNode):
    """Runs another flow, and has its answer."""

    label = "Execute Flow"

    def read(self, maker: Maker) -> None:
        """The flow, what it is asked, and how it is changed for that."""
        self._flow: UUID | None = None
        chosen = self.text("executeFlowSelectedFlow").strip()
        try:
            self._flow = UUID(chosen)
        except ValueError:
            maker.problem(f"executeFlowSelectedFlow: '{chosen}' is no flow" if chosen else "no flow is chosen")
        self._input = Template.parse(self.node.inputs.get("executeFlowInput") or "{{ question }}")
        if self.text("executeFlowBaseURL").strip():
            raise BadOption(f"executeFlowBaseURL: {ELSEWHERE}")
        self._overrides = _overrides(self.node.inputs.get("executeFlowOverrideConfig"))
        as_user = self.choice("executeFlowReturnResponseAs", RETURN_AS) == "userMessage"
        self._part = Part.USER if as_user else Part.ASSISTANT
        self.updates = self.state("executeFlowUpdateState")

    @property
    def flows(self) -> frozenset[UUID]:
        """The one that is chosen."""
        return frozenset() if self._flow is None else frozenset({self._flow})

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Look the flow up. Raises `FlowNotRunnable` where it is not there, or nobody runs flows."""
        if backing.predict is None:
            raise FlowNotRunnable(f"{self.title}: other flows cannot be run from here")
        if self._flow is not None:
            place = f"{self.title}: executeFlowSelectedFlow"
            await look_up(workspace, backing, self._flow, self.node.id, place)

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """What the other flow says. Raises as `Backing.predict` does, and `BadValue` when it waits for a person."""
        question = self._input.text(moment).strip() or moment.asked
        parts: list[str] = []
        async with aclosing(self._heard(moment, question)) as events:
            async for event in events:
                if isinstance(event, Token):
                    parts.append(event.text)
                yield event
        text = "".join(parts)
        opening = () if moment.said else (Message(Part.USER, moment.asked),)
        yield Done(
            text=text,
            output={"content": text},
            input={"executeFlowSelectedFlow": str(self._flow), "question": question},
            changes=changes(self.updates, moment, text),
            opening=opening,
            said=(Message(self._part, text, speaker(self.node.label or self.node.id)),),
        )

    async def _heard(self, moment: Moment, question: str) -> AsyncGenerator[StepEvent, None]:
        """What the other flow says that is a part of this one; its sources have their numbers in this run."""
        assert self._flow is not None
        predict = moment.run.backing.predict
        assert predict is not None, "prepare() has checked that"
        inner, outer, sources = Cited(), moment.run.cited, list[Passage]()

        def numbers() -> list[int]:
            return [outer.number(passage) for passage in sources or inner.passages] or [0] * inner.hidden

        text = Renumbering(numbers)
        session = moment.run.session
        events = predict(moment.run, self._flow, question, session=session, overrides=self._overrides, cited=inner)
        async with aclosing(events):
            async for event in events:
                match event:
                    case ActionWanted():
                        raise BadValue(f"{self.title}: the flow waits for a person, which it cannot within another")
                    case Structured():
                        yield Token(text.rest() + json.dumps(event.value, ensure_ascii=False, default=str))
                    case Token():
                        if said := text.take(event.text):
                            yield Token(said)
                    case Sources():
                        sources[:] = event.passages
                        numbers()  # from now on they are this run's too
                        yield event
                    case _ if isinstance(event, PASSED_ON):
                        yield event
        if said := text.rest():
            yield Token(said)


def _overrides(value: object) -> dict[str, object]:
    """The object in the field, or in its text. Raises `BadOption`."""
    if isinstance(value, str):
        text = code(value).strip()
        if not text:
            return {}
        try:
            value = lenient(text)
        except ValueError as error:
            raise BadOption(f"executeFlowOverrideConfig: no JSON: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadOption("executeFlowOverrideConfig: must be an object")
    return value
