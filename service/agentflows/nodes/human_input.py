"""Waits for a person."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.nodes.llm import model_name
from service.agentflows.state import Moment
from service.agentflows.templates import Marked, Template
from service.agentflows.types import Done, Message, Part, Waits
from service.agents.speech import speak
from service.chatflows.steps.base import ModelStep
from service.chatflows.types import Decision, HumanInput, StepEvent, Token

TYPES = ("fixed", "dynamic")
PROCEED, REJECT = 0, 1

FIXED = "Do you want to proceed?"
DYNAMIC = (
    "Sum up the conversation so far for the person who is to decide how it goes on: what was worked out, what is about"
    " to be done, and what the decision is about. Then ask whether to proceed."
)


class HumanInputNode(FlowNode):
    """Tells a person what is to be decided, and goes on as the person says."""

    label = "Human Input"

    def read(self, maker: Maker) -> None:
        """What the person is told: a text, or what a model makes of the conversation."""
        self._type = self.choice("humanInputDescriptionType", TYPES)
        self._model: ModelStep | None = None
        self._fixed = Template.parse(self.node.inputs.get("humanInputDescription") or FIXED)
        self._prompt = Template.parse(self.node.inputs.get("humanInputModelPrompt") or DYNAMIC)
        if self._type == "dynamic":
            self._model = maker.model("humanInputModel")
        self._feedback = self.flag("humanInputEnableFeedback", otherwise=True)

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        """What the person is told, then `Waits`; with the person's answer, the branch that it takes."""
        if moment.human is not None:
            yield self._decided(moment, moment.human)
            return
        text = self._told(moment) if self._model is None else ""
        if self._model is not None:
            pieces = speak(
                self._model.chat, self._messages(moment), whole=moment.run.whole, name=model_name(self._model)
            )
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, Token):
                        text += piece.text
                    if not isinstance(piece, AIMessage):
                        yield piece
        opening = _opening(moment)
        messages = [message.shown() for message in (*moment.past, *moment.said, *opening)]
        yield Waits(
            text=text,
            output={"content": text},
            input={"messages": messages, "humanInputEnableFeedback": self._feedback},
            opening=opening,
            said=(Message(Part.ASSISTANT, text),),
        )

    def _told(self, moment: Moment) -> str:
        # what is to be decided about was said by a node that nobody has heard
        before = moment.said[-1].text if moment.said else ""
        return f"{before}\n\n{self._fixed.text(moment)}".strip()

    def _messages(self, moment: Moment) -> list[BaseMessage]:
        marked = Marked()
        prompt = self._prompt.prompt(moment, Part.USER, marked)
        messages: list[BaseMessage] = [SystemMessage(marked.note)] if marked.note else []
        messages += [
            AIMessage(message.text) if message.part is Part.ASSISTANT else HumanMessage(message.text)
            for message in (*moment.past, *moment.said, *_opening(moment))
            if message.text.strip()
        ]
        return [*messages, HumanMessage(prompt)]

    def _decided(self, moment: Moment, human: HumanInput) -> Done:
        feedback = human.feedback.strip() if self._feedback else ""
        proceeds = human.decision is Decision.PROCEED
        told: list[dict[str, Any]] = [
            {"type": decision.value, "startNodeId": human.node, "isFulfilled": decision is human.decision}
            for decision in Decision
        ]
        said = (Message(Part.USER, feedback),) if feedback else ()
        return Done(
            text=feedback,
            output={"conditions": told, "content": feedback},
            input={"type": human.decision.value, "startNodeId": human.node, "feedback": feedback},
            said=said,
            branches=frozenset({PROCEED if proceeds else REJECT}),
        )


def _opening(moment: Moment) -> tuple[Message, ...]:
    """The user's words, where nobody has answered them yet: the conversation begins with them."""
    return () if moment.said or not moment.asked.strip() else (Message(Part.USER, moment.asked),)
