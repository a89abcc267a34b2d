"""Prompts: texts with places for values, read once and filled literally, in one pass."""

import re
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Anchor, BadOption, Links, Step, StepOptions, TextStep, spoken
from service.chatflows.texts import PLACE, Known
from service.chatflows.types import FlowNotRunnable, Turn
from service.concurrency import together
from service.json_text import parsed
from service.untrusted import Fence

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_PLACE = re.compile(
    r"\{\{\s*(?P<flow>question|chat_history|file_attachment|\$[\w.-]+|[^{}\s]+\.data\.instance)\s*\}\}"
    r"|(?P<brace>\{\{|\}\})|\{(?P<name>[^{}\n]+)\}"
)
"""`{{question}}` and its like are what the flow knows, `{name}` is a value, doubled braces stand for single ones."""

INSTANCE = ".data.instance"
"""Behind the id of a node: what it says."""

FLOW = {
    "question": "the question",
    "chat_history": "the conversation so far",
    "file_attachment": "the documents that came with the question",
    "$flow.input": "the question",
    "$flow.sessionId": "the session",
    "$flow.chatId": "the conversation's id",
    "$flow.chatflowId": "the chatflow's id",
    "$vars.name": "a variable",
}
"""What stands in doubled braces, and what it is."""


@dataclass(frozen=True, slots=True)
class Format:
    """A text with places. Texts and the names of places in turn, a text first and last; names of what the flow knows
    begin with `@`."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, field: str, nodes: Collection[str] = ()) -> "Format":
        """Every text is one. `nodes` are the ids of those whose text it may name: `{{id.data.instance}}`.

        Raises `BadOption` for something in doubled braces that the flow does not know.
        """
        parts, end, before = [""], 0, ""
        for place in _PLACE.finditer(text):
            before = text[end : place.start()]
            end = place.end()
            parts[-1] += before
            if place["brace"]:
                parts[-1] += place["brace"][0]
            elif place["flow"]:
                named = place["flow"].removesuffix(INSTANCE)
                if PLACE.fullmatch(place[0]) is None and (named == place["flow"] or named not in nodes):
                    known = ", ".join(f"{{{{{name}}}}}" for name in [*FLOW, *(f"{node}{INSTANCE}" for node in nodes)])
                    raise BadOption(f"{field}: {{{{{place['flow']}}}}} is not known here. Known: {known}")
                parts += [f"@{place['flow']}", ""]
            else:
                parts += [place["name"].strip(), ""]
        parts[-1] += text[end:]
        return cls(tuple(parts))

    @property
    def names(self) -> tuple[str, ...]:
        """The values that are needed, each once, in the order of their first place."""
        return tuple(dict.fromkeys(name for name in self.parts[1::2] if not name.startswith("@")))

    def fill(self, values: Mapping[str, str], known: Mapping[str, str]) -> str:
        """The text with values, and what the flow knows, in their places. What is put in is never looked at again."""
        return "".join(
            part if position % 2 == 0 else known.get(part[1:], "") if part.startswith("@") else values.get(part, "")
            for position, part in enumerate(self.parts)
        )


VALUES = Anchor("promptValues", TextStep, "Format Prompt Values", optional=True, many=True, named=True)


class PromptOptions(StepOptions):
    """Fields of every prompt."""

    prompt_values: dict[str, Any] = Field(
        default_factory=dict, title="Format Prompt Values", description="Values by name, as JSON."
    )

    @field_validator("prompt_values", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return (parsed(value) if value.strip() else {}) if isinstance(value, str) else value


class PromptStep(Step):
    """What a chain says to its model."""

    category = "Prompts"
    base_classes: ClassVar[tuple[str, ...]] = ("BasePromptTemplate",)
    Options: ClassVar[type[StepOptions]] = PromptOptions

    anchors: ClassVar[tuple[Anchor, ...]] = (VALUES,)
    fills = True

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `PromptOptions`; the texts are parsed here, once."""
        super().__init__(node, options, links)
        self._named = {step.node.id: step for step in links.get(VALUES.name, ()) if isinstance(step, TextStep)}
        self._values = {
            name: Format.parse(value if isinstance(value, str) else str(value), "promptValues", self._named)
            for name, value in options.prompt_values.items()
        }

    @property
    @abstractmethod
    def templates(self) -> Sequence[Format]:
        """The texts of the prompt."""

    @abstractmethod
    def said(self, texts: Sequence[str]) -> "list[BaseMessage]":
        """The messages that the filled texts make."""

    async def messages(
        self, run: Run, history: Sequence[Turn], given: Mapping[str, str] | None = None
    ) -> "list[BaseMessage]":
        """The prompt for a run. `given` are values besides the node's own; a single value that nobody gives is the
        question. Nodes that it names are run for it, all at once.

        Raises `FlowNotRunnable` naming the values that nobody gives, `ServiceError` of what it names.
        """
        texts = await together(*(_said(step, run) for step in self._named.values()))
        said = {f"{name}{INSTANCE}": text for name, text in zip(self._named, texts, strict=True)}
        known = Known(run, history, said)
        values = {name: text.fill({}, known) for name, text in self._values.items()}
        values |= given or {}
        lacking = [name for text in self.templates for name in text.names if name not in values]
        if len(set(lacking)) > 1:
            raise FlowNotRunnable(f"{self.title}: promptValues: give values for {', '.join(dict.fromkeys(lacking))}")
        values |= dict.fromkeys(lacking, run.question)
        return self.said([text.fill(values, known) for text in self.templates])

    def asks_for(self, name: str) -> bool:
        """Whether its texts have a place for a value of this name."""
        return any(name in text.names for text in self.templates)


async def _said(step: TextStep, run: Run) -> str:
    """What a node says; what others wrote is marked as data."""
    text = await spoken(step, run)
    if not step.foreign:
        return text
    fence = Fence()
    return f"{fence.note}\n{fence.put(text, 'documents')}"


class PromptTemplateOptions(PromptOptions):
    """Fields of the node."""

    template: str = Field("", title="Template", description="A text with places such as {product}.")


class PromptTemplate(PromptStep):
    """One text with places for values."""

    label = "Prompt Template"
    base_classes = ("PromptTemplate", "BaseStringPromptTemplate", "BasePromptTemplate")
    Options = PromptTemplateOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `PromptTemplateOptions`."""
        super().__init__(node, options, links)
        self._formats = (Format.parse(options.template, "template"),)

    @property
    def templates(self) -> Sequence[Format]:
        """The one text."""
        return self._formats

    def said(self, texts: Sequence[str]) -> "list[BaseMessage]":
        """One message of the user."""
        from langchain_core.messages import HumanMessage

        return [HumanMessage(texts[0])]


class ChatPromptTemplateOptions(PromptOptions):
    """Fields of the node."""

    system_message_prompt: str = Field("", title="System Message")
    human_message_prompt: str = Field("", title="Human Message")
    message_history_code: str = Field("", title="Messages History", description="JavaScript: is refused.")


class ChatPromptTemplate(PromptStep):
    """A message of the system and one of the user, with places for values."""

    label = "Chat Prompt Template"
    version = 2
    base_classes = ("ChatPromptTemplate", "BaseChatPromptTemplate", "BasePromptTemplate")
    Options = ChatPromptTemplateOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ChatPromptTemplateOptions`. Raises `BadOption` for code."""
        super().__init__(node, options, links)
        if options.message_history_code.strip():
            raise BadOption("messageHistoryCode: code is not run here; put the messages into the prompts")
        self._formats = (
            Format.parse(options.system_message_prompt, "systemMessagePrompt"),
            Format.parse(options.human_message_prompt, "humanMessagePrompt"),
        )

    @property
    def templates(self) -> Sequence[Format]:
        """System message and user message."""
        return self._formats

    def said(self, texts: Sequence[str]) -> "list[BaseMessage]":
        """Both messages, those that are not empty."""
        from langchain_core.messages import HumanMessage, SystemMessage

        system, human = texts
        return [kind(text) for kind, text in ((SystemMessage, system), (HumanMessage, human)) if text.strip()]

    async def around(self, run: Run, history: Sequence[Turn], *, sees: bool) -> "list[BaseMessage]":
        """The prompt with the conversation before its last message, which is the user's: the question where the prompt
        has none. What came with the question stands in it; `sees` is the model's."""
        from langchain_core.messages import HumanMessage, SystemMessage

        from service.chatflows.steps.prompts import human, messages, with_uploads

        *before, last = await self.messages(run, history) or [HumanMessage(run.question)]
        if isinstance(last, SystemMessage):
            before, last = [*before, last], human(run, sees=sees)
        else:
            (last,) = with_uploads(run, [last], sees=sees)
        return [*before, *messages(history, sees=sees), last]


class FewShotOptions(PromptOptions):
    """Fields of the node."""

    examples: list[dict[str, Any]] = Field(default_factory=list, title="Examples", description="Objects, as JSON.")
    prefix: str = Field("", title="Prefix")
    suffix: str = Field("", title="Suffix", description="Has the places that the flow fills.")
    example_separator: str = Field("\n\n", title="Example Separator")
    template_format: str = Field("f-string", title="Template Format", description="Only f-string is known.")

    @field_validator("examples", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return parsed(value) if isinstance(value, str) else value

    @field_validator("template_format")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value != "f-string":
            raise ValueError("only f-string is known here: places are written {name}")
        return value


class FewShotPromptTemplate(PromptStep):
    """A text with examples of what is wanted, each filled into a prompt of its own."""

    label = "Few Shot Prompt Template"
    base_classes = ("FewShotPromptTemplate", "BaseStringPromptTemplate", "BasePromptTemplate")
    anchors = (Anchor("examplePrompt", PromptTemplate, "Example Prompt"), VALUES)
    Options = FewShotOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `FewShotOptions`. The examples are filled here, once. Raises `BadOption` for one that lacks a
        value."""
        super().__init__(node, options, links)
        (example,) = links["examplePrompt"]
        assert isinstance(example, PromptTemplate)
        (form,) = example.templates
        shown = []
        for number, values in enumerate(options.examples, 1):
            if lacking := [name for name in form.names if name not in values]:
                raise BadOption(f"examples: number {number} lacks {', '.join(lacking)}")
            shown.append(form.fill({name: str(value) for name, value in values.items()}, {}))
        rows = "".join(f"{text}{options.example_separator}" for text in shown)
        before, after = Format.parse(options.prefix, "prefix"), Format.parse(options.suffix, "suffix")
        gap = options.example_separator if options.prefix else ""
        joined = f"{before.parts[-1]}{gap}{rows}{after.parts[0]}"
        self._formats = (Format((*before.parts[:-1], joined, *after.parts[1:])),)

    @property
    def templates(self) -> Sequence[Format]:
        """Prefix, examples and suffix as one text."""
        return self._formats

    def said(self, texts: Sequence[str]) -> "list[BaseMessage]":
        """One message of the user."""
        from langchain_core.messages import HumanMessage

        return [HumanMessage(texts[0])]
