"""What nodes with a model tell it: their own messages, the conversation as far as they remember it, what comes last.

Whatever the graph does, models get one system message, first, and the user's part last: most providers refuse other
orders. What others wrote stands in it as marked data (service/untrusted.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from service.agentflows.nodes.base import FlowNode
from service.agentflows.state import Moment
from service.agentflows.templates import Marked, Template
from service.agentflows.types import Message, Part
from service.chatflows.steps.base import BadOption, ModelStep
from service.chatflows.steps.prompts import earlier, human
from service.retrieval.base import Message as Line
from service.untrusted import Fence

MEMORIES = ("allMessages", "windowSize", "conversationSummary", "conversationSummaryBuffer")
RETURN_AS = ("userMessage", "assistantMessage")

DEFAULT_WINDOW = 20
DEFAULT_TOKENS = 2_000
LETTERS_A_TOKEN = 4
"""What a token is taken to be, where only a bound is wanted."""

GO_ON = "Go on with the conversation above: it is your turn."
SUMMARISE = (
    "Sum up the conversation below for somebody who is to go on with it: what was asked, said and decided, with names"
    " and numbers. Write the summary only."
)
SUMMARY = "What was said before, summed up:"

_NO_NAME = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is told, and what of it the conversation of the run goes on with."""

    messages: tuple[BaseMessage, ...]
    told: tuple[Message, ...]
    """The same as executions show it."""
    opening: tuple[Message, ...] = ()
    said: tuple[Message, ...] = ()
    """What the node itself says as the user."""


class Conversation:
    """The fields that all nodes with messages and a memory have: `<prefix>Messages`, `<prefix>EnableMemory`, ..."""

    def __init__(self, node: FlowNode, prefix: str) -> None:
        """Read the fields. Raises `BadOption`."""
        rows = node.rows(f"{prefix}Messages")
        self._own = tuple(
            _row(row.get("role"), row.get("content")) for row in rows if row.get("role") and row.get("content")
        )
        self._remembers = node.flag(f"{prefix}EnableMemory")
        self._memory = node.choice(f"{prefix}MemoryType", MEMORIES)
        self._window = node.number(f"{prefix}MemoryWindowSize", DEFAULT_WINDOW, most=10_000)
        self._tokens = node.number(f"{prefix}MemoryMaxTokenLimit", DEFAULT_TOKENS, most=10_000_000)
        # the editor offers it with a memory only; without one it stays in the export and has no effect
        self._last = Template.parse(node.node.inputs.get(f"{prefix}UserMessage") if self._remembers else "")
        as_user = node.choice(f"{prefix}ReturnResponseAs", RETURN_AS) == "userMessage"
        self._part = Part.USER if as_user else Part.ASSISTANT
        self._name = speaker(node.node.label or node.node.id)

    def answer(self, text: str) -> Message:
        """What the model said, as the conversation goes on with it."""
        return Message(self._part, text, self._name)

    async def prompt(self, moment: Moment, model: ModelStep, more: str = "") -> Prompt:
        """What the model is told at this moment; `more` stands behind the node's own instructions.

        Raises `ProviderError` of a model that sums the conversation up.
        """
        marked = Marked()
        own = [Message(part, text.prompt(moment, part, marked)) for part, text in self._own]
        system = [message.text for message in own if message.part in (Part.SYSTEM, Part.DEVELOPER)]
        talk = [message for message in own if message.part not in (Part.SYSTEM, Part.DEVELOPER)]
        own_words = tuple(message for message in talk if message.part is Part.USER)
        asked = Message(Part.USER, moment.asked)
        opening: tuple[Message, ...] = ()
        if not moment.said and (own_words or asked.text.strip()):
            opening = own_words if own_words and not self._remembers else (asked,)
        if self._remembers:
            summary, past = await self._remembered(moment, model, (*moment.past, *moment.said, *opening))
            system += summary
            talk += past
        elif not own_words:
            talk.append(asked)
        said = tuple(Message(Part.USER, text) for text in [self._last.prompt(moment, Part.USER, marked)] if text)
        talk += said
        system = [text for text in (marked.note, *system, more) if text]
        return _prompt(moment, model, system, talk, opening, said)

    async def _remembered(
        self, moment: Moment, model: ModelStep, past: tuple[Message, ...]
    ) -> tuple[list[str], list[Message]]:
        """A summary, if there is one, and the messages that stand as they are."""
        match self._memory:
            case "windowSize":
                return [], list(past[_turn(past, len(past) - 2 * self._window) :])
            case "conversationSummary":
                first = _turn(past, len(past) - 1)
            case "conversationSummaryBuffer":
                first = _turn(past, len(past) - len(_newest(past, self._tokens * LETTERS_A_TOKEN)))
            case _:
                first = 0
        return [await summed_up(moment, model, past[:first])] if first else [], list(past[first:])


def _row(role: Any, content: Any) -> tuple[Part, Template]:
    if not isinstance(role, str) or role not in set(Part):
        raise BadOption(f"messages: '{role}' is none of {', '.join(Part)}")
    return Part(role), Template.parse(content)


def _turn(past: tuple[Message, ...], first: int) -> int:
    """The place from which messages are kept so that they begin with the user's words, not with an answer to them."""
    first = max(0, first)
    while first > 0 and past[first].part is Part.ASSISTANT:
        first -= 1
    return first


def _newest(past: tuple[Message, ...], letters: int) -> tuple[Message, ...]:
    """The last messages that fit, at least one."""
    room, first = letters, len(past)
    while first > 0 and (room := room - len(past[first - 1].text)) >= 0:
        first -= 1
    return past[min(first, len(past) - 1) :]


async def summed_up(moment: Moment, model: ModelStep, past: Sequence[Message]) -> str:
    """The conversation, summed up by the model, as a part of a system message. Raises `ProviderError`."""
    fence = Fence()
    lines = ((message.part.value, message.text) for message in past)
    text = f"{SUMMARISE}\n{fence.note}\n{fence.conversation(lines)}"
    summary = await model.ask(moment.run)([Line("user", text)])
    marks = Fence()
    return f"{SUMMARY}\n{marks.note}\n{marks.put(summary, 'conversation')}"


def _prompt(
    moment: Moment,
    model: ModelStep,
    system: list[str],
    talk: list[Message],
    opening: tuple[Message, ...],
    said: tuple[Message, ...],
) -> Prompt:
    talk = [message for message in talk if message.text.strip() or (message.turn and message.turn.pictures)]
    if not talk:
        talk = [Message(Part.USER, moment.asked)]
    if talk[-1].part is Part.ASSISTANT:
        talk.append(Message(Part.USER, GO_ON))
    messages: list[BaseMessage] = [SystemMessage("\n\n".join(system))] if system else []
    at = _asked_at(talk, moment, first=bool(opening))
    for place, message in enumerate(talk):
        if message.part is Part.ASSISTANT:
            messages.append(AIMessage(message.text))
        elif place == at:
            messages.append(human(moment.run, message.text, sees=model.sees))
        elif message.turn is not None:
            messages.append(earlier(message.turn, sees=model.sees))
        else:
            messages.append(HumanMessage(message.text))
    told = [*(Message(Part.SYSTEM, text) for text in ["\n\n".join(system)] if text), *talk]
    return Prompt(tuple(messages), tuple(told), opening, said)


def _asked_at(talk: Sequence[Message], moment: Moment, *, first: bool) -> int:
    """The message that pictures and documents came with: the one that holds what the user asks; where none does, the
    last one of the user, in the `first` node of a run. -1: none."""
    users = [place for place, message in enumerate(talk) if message.part is Part.USER]
    asked = moment.asked.strip()
    now = [place for place in users if talk[place].turn is None]
    holding = next((place for place in now if asked and asked in talk[place].text), -1)
    return users[-1] if holding < 0 and first and users else holding


def speaker(label: str) -> str:
    """A node's label as the name of who says a message."""
    return _NO_NAME.sub("_", label.strip().lower()).strip("_")
