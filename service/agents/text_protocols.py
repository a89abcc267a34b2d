"""How models that only write are led to tools: what they are told, and how a call is read out of their words."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from service.agents.base import Call
from service.chatflows.steps.tool import Tool
from service.json_text import parsed
from service.model_json import found


class BadWords(ValueError):
    """The model neither answers nor calls a tool as it was told to. The message is told to it."""


class TextProtocol(ABC):
    """A way to call tools in words."""

    native: ClassVar[bool] = False
    """Whether a model that can call tools by itself is offered them so; words count all the same."""

    @abstractmethod
    def instructions(self, tools: Sequence[Tool]) -> str:
        """What stands in the system message."""

    @abstractmethod
    def read(self, text: str, tools: Mapping[str, Tool], number: int) -> Call | str:
        """The call in what the model wrote, under an id made of `number`, or its answer. Raises `BadWords`."""

    @abstractmethod
    def kept(self, text: str) -> str:
        """What the model wrote, as it reads it again."""

    @abstractmethod
    def told(self, result: str) -> str:
        """What came of the call, which is marked already, as the model reads it."""


def listed(tools: Sequence[Tool]) -> str:
    """The tools with what they take."""
    rows = []
    for tool in tools:
        field = only_text(tool)
        takes = "a text" if field else f"a JSON object of this schema: {json.dumps(tool.schema, ensure_ascii=False)}"
        rows.append(f"- {tool.name}: {tool.description.strip()} Its input is {takes}")
    return "\n".join(rows) or "(there are none)"


def only_text(tool: Tool) -> str | None:
    """The one field of a tool that takes a text and nothing else."""
    properties = tool.schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) != 1:
        return None
    ((name, schema),) = properties.items()
    return name if isinstance(schema, Mapping) and schema.get("type") == "string" else None


def call(name: str, given: Any, tools: Mapping[str, Tool], number: int) -> Call:
    """A call with an input as the model wrote it: an object, or a text that is one or stands for the only field."""
    identifier = f"call_{number}"
    name = name.strip().strip("\"'`*[]")
    value = given
    if isinstance(given, str):
        try:
            value = parsed(given.strip().strip("`").strip()) if given.strip() else {}
        except ValueError:
            value = given
    if isinstance(value, Mapping):
        return Call(identifier, name, value)
    field = only_text(tools[name]) if name in tools else None
    if field is not None:
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        return Call(identifier, name, {field: text.strip().strip('"')})
    return Call(identifier, name, {}, "The input is no JSON object." if name in tools else "")


class React(TextProtocol):
    """Thought, action, observation, and so on until the final answer."""

    _ACTION = re.compile(r"^[ \t*]*Action[ \t]*\d*[ \t]*:[ \t*]*(.+)$", re.IGNORECASE | re.MULTILINE)
    _INPUT = re.compile(r"^[ \t*]*Action[ \t]*\d*[ \t]+Input[ \t]*\d*[ \t]*:\**", re.IGNORECASE | re.MULTILINE)
    _FINAL = re.compile(r"^[ \t*]*Final[ \t]+Answer[ \t]*:\**|Final Answer:", re.IGNORECASE | re.MULTILINE)
    _OBSERVED = re.compile(r"^[ \t*]*Observation[ \t]*\d*[ \t]*:", re.IGNORECASE | re.MULTILINE)
    _NEXT = re.compile(r"^[ \t*]*(?:Thought|Final[ \t]+Answer|Question)[ \t]*\d*[ \t]*:", re.IGNORECASE | re.MULTILINE)
    _THOUGHT = re.compile(r"^[ \t*]*Thought[ \t]*\d*[ \t]*:", re.IGNORECASE | re.MULTILINE)

    def instructions(self, tools: Sequence[Tool]) -> str:
        """The form of every reply."""
        names = ", ".join(tool.name for tool in tools)
        return (
            f"You can use these tools:\n{listed(tools)}\n\n"
            "To use one, reply in this form and write nothing after the input:\n"
            f"Thought: what to do next\nAction: one of {names or 'no tool'}\nAction Input: its input\n\n"
            "You are then told what came of it, as an observation. When you know the answer, reply in this form:\n"
            "Thought: I know the answer\nFinal Answer: the answer to the question, in the language of the question"
        )

    def read(self, text: str, tools: Mapping[str, Tool], number: int) -> Call | str:
        """Observations that the model made up do not count, nor what follows them."""
        text = self.kept(text)
        action, final = self._ACTION.search(text), self._FINAL.search(text)
        if action is not None and (final is None or action.start() < final.start()):
            begins = self._INPUT.search(text, action.end())
            if begins is None:
                raise BadWords("There is an Action without an Action Input.")
            ends = self._NEXT.search(text, begins.end())
            return call(action[1], text[begins.end() : ends.start() if ends else len(text)], tools, number)
        if final is not None:
            return text[final.end() :].strip()
        if self._INPUT.search(text):
            raise BadWords("There is an Action Input without an Action.")
        if self._THOUGHT.match(text.strip()):
            raise BadWords("After the Thought there is neither an Action nor a Final Answer.")
        return text.strip()

    def kept(self, text: str) -> str:
        """Without what the model made up about the tool's answer."""
        made_up = self._OBSERVED.search(text)
        return (text[: made_up.start()] if made_up else text).rstrip()

    def told(self, result: str) -> str:
        """An observation."""
        return f"Observation: {result}"


class Words(TextProtocol):
    """A JSON object with an action and its input; plain words are the answer."""

    native = True

    def instructions(self, tools: Sequence[Tool]) -> str:
        """The form of a call."""
        names = ", ".join(f'"{tool.name}"' for tool in tools)
        return (
            f"You can use these tools:\n{listed(tools)}\n\n"
            "To use one, reply with nothing but a JSON object in a code block:\n"
            f'```json\n{{"action": one of {names or "no tool"}, "action_input": its input}}\n```\n\n'
            "You are then told what came of it. When you know the answer, or need no tool, reply with nothing but:\n"
            '```json\n{"action": "Final Answer", "action_input": "the answer, in the language of the question"}\n```'
        )

    def read(self, text: str, tools: Mapping[str, Tool], number: int) -> Call | str:
        """Words that hold no such object are the answer."""
        try:
            value = found(text)
        except ValueError:
            return text.strip()
        if not isinstance(value, Mapping) or not isinstance(value.get("action"), str):
            return text.strip()
        given = value.get("action_input", value.get("actionInput", ""))
        if value["action"].strip().casefold().replace("_", " ") in ("final answer", "final"):
            return given.strip() if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        return call(value["action"], given, tools, number)

    def kept(self, text: str) -> str:
        """All of it."""
        return text.rstrip()

    def told(self, result: str) -> str:
        """What came of it, and how to go on."""
        return f"The tool answered:\n{result}\n\nReply in the same form: the next action, or the final answer."


class Xml(TextProtocol):
    """A tool and its input between tags."""

    _TOOL = re.compile(r"<tool>(.*?)</tool>\s*(?:<tool_input>(.*?)(?:</tool_input>|\Z))?", re.DOTALL)
    _FINAL = re.compile(r"<final_answer>(.*?)(?:</final_answer>|\Z)", re.DOTALL)
    _OBSERVED = re.compile(r"<observation>")

    def instructions(self, tools: Sequence[Tool]) -> str:
        """The tags."""
        return (
            f"You can use these tools:\n{listed(tools)}\n\n"
            "To use one, reply with <tool>its name</tool><tool_input>its input</tool_input> and nothing after that. You"
            " are then told what came of it between <observation> and </observation>. When you know the answer, reply"
            " with <final_answer>the answer</final_answer>."
        )

    def read(self, text: str, tools: Mapping[str, Tool], number: int) -> Call | str:
        """Words without tags are the answer."""
        text = self.kept(text)
        tool, final = self._TOOL.search(text), self._FINAL.search(text)
        if tool is not None and (final is None or tool.start() < final.start()):
            return call(tool[1], tool[2] or "", tools, number)
        return (final[1] if final else text).strip()

    def kept(self, text: str) -> str:
        """Without what the model made up about the tool's answer."""
        made_up = self._OBSERVED.search(text)
        return (text[: made_up.start()] if made_up else text).rstrip()

    def told(self, result: str) -> str:
        """An observation."""
        return f"<observation>\n{result}\n</observation>"
