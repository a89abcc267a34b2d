"""Texts of nodes: what the editor writes as rich text, and the variables in it.

A text is parsed once, when its flow is compiled, and filled literally, once: what is put in is never looked at again,
so an answer, a document or a question that holds `{{ question }}` stays as it is. What no variable is called stays as
it is written.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from secrets import randbelow
from typing import Any, Protocol

from service.agentflows.types import BadValue, Part
from service.chatflows.texts import texts_in
from service.json_text import lenient, parsed
from service.untrusted import Fence, defused

_RICH = re.compile(r"\s*<(?:p|div|h[1-6]|ul|ol|blockquote|pre|table)\b", re.IGNORECASE)
"""Rich text begins with a block: tags elsewhere are part of somebody's prompt."""

_VARIABLE = re.compile(r"\{\{[^{}]{1,600}\}\}")
"""Without a choice where spaces end: a text of thousands of them would take minutes to be read."""
_BLOCK = re.compile(r"```\w*\n(.*)\n```", re.DOTALL)
_STEP = re.compile(r"[^.\[\]]+")


@dataclass(frozen=True, slots=True)
class Found:
    """What a variable stands for: a JSON value. `foreign` says what kind of data it is that others wrote (a document,
    a tool's answer), so that prompts mark it; empty: words of the conversation."""

    value: Any
    foreign: str = ""


class Values(Protocol):
    """What variables stand for at one moment of a run."""

    def find(self, name: str) -> Found | None:
        """None: nothing is called so."""
        ...


def plain(value: Any) -> str:
    """The text that somebody meant who wrote it in the editor: rich text becomes Markdown, all else stays."""
    if not isinstance(value, str):
        return shown(value)
    if not _RICH.match(value):
        return value
    from loaders.html import markdown_of

    return markdown_of(value, marks=True)[1]


def code(value: Any) -> str:
    """As `plain`; of a text that is one block of code what stands in it."""
    text = plain(value)
    block = _BLOCK.fullmatch(text.strip())
    return text if block is None else block[1]


def plain_within(value: Any) -> Any:
    """A value with `plain` done to every text in it."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: plain_within(item) for name, item in value.items()}
    return [plain_within(item) for item in value] if isinstance(value, list) else value


def shown(value: Any) -> str:
    """A JSON value as it stands in texts."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def value_of(text: str) -> Any:
    """What a node or a tool answered: the value where that is JSON, so that paths lead into it."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return parsed(text)
    except ValueError:
        return text


def of_node(name: str, nodes: Collection[str]) -> tuple[str, str | None] | None:
    """The node that a variable stands for something of, and the path into its output; without a path it is the node's
    text. None: it names no node."""
    if name in nodes:
        return name, None
    node, separator, path = name.partition(".output")
    return (node, path.removeprefix(".")) if separator and node in nodes and path[:1] in ("", ".", "[") else None


def within(value: Any, path: str) -> Any:
    """What a path like `items[0].name` leads to in a JSON value; None where it leads nowhere."""
    for step in _STEP.findall(path):
        name = step.strip("\"'")
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit():
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


@dataclass(slots=True)
class Marked:
    """Marks what others wrote, in the texts of one prompt. `note` belongs before the first of them."""

    fence: Fence = field(default_factory=Fence)
    used: bool = False

    @property
    def note(self) -> str:
        """What the prompt says about the marks; empty while there are none."""
        return self.fence.note if self.used else ""

    def put(self, found: Found, part: Part) -> str:
        """The value as it may stand in a message of this part: the user's own words stay as they are where the user
        speaks."""
        text = shown(found.value)
        if found.foreign and text.strip():
            self.used = True
            return f"\n{self.fence.put(text, found.foreign)}\n"
        return text if part is Part.USER else defused(text)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places for variables."""

    parts: tuple[str, ...] = ("",)
    """Texts and variables in turn, a text first and last; variables as they are written."""

    @classmethod
    def parse(cls, value: Any) -> "Template":
        """Every value is a template; none, if it is no text, holds variables."""
        text = plain(value)
        parts: list[str] = []
        last = 0
        for found in _VARIABLE.finditer(text):
            if not found.group()[2:-2].strip():
                continue
            parts += [text[last : found.start()], found.group()]
            last = found.end()
        return cls((*parts, text[last:]))

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return any(part.strip() for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in it."""
        return tuple(_name(part) for part in self.parts[1::2])

    def text(self, values: Values) -> str:
        """The text with the values in place."""
        return _joined(
            self._found(part, values, lambda found: shown(found.value)) if at % 2 else part
            for at, part in enumerate(self.parts)
        )

    def value(self, values: Values) -> Any:
        """As `text`; of a template that is one variable and nothing else its value as it is."""
        if len(self.parts) == 3 and not self.parts[0].strip() and not self.parts[2].strip():
            found = values.find(_name(self.parts[1]))
            if found is not None:
                return found.value
        return self.text(values)

    def prompt(self, values: Values, part: Part, marked: Marked) -> str:
        """The text as a message of a prompt, with what others wrote marked as such."""
        return _joined(
            self._found(text, values, lambda found: marked.put(found, part)) if at % 2 else text
            for at, text in enumerate(self.parts)
        ).strip()

    @staticmethod
    def _found(written: str, values: Values, write: "Write") -> str:
        found = values.find(_name(written))
        return written if found is None else write(found)


class Write(Protocol):
    """Writes a value."""

    def __call__(self, found: Found, /) -> str: ...


def _name(written: str) -> str:
    # older editors wrote a backslash before underscores
    return written[2:-2].strip().replace("\\", "")


MAX_FILLED = 10_000_000
"""Characters of a text with its values in place: each may name a large one many times."""


def _joined(parts: Iterable[str]) -> str:
    """The text of these parts. Raises `BadValue` for one that is too long, before it is made."""
    found, length = [], 0
    for part in parts:
        length += len(part)
        if length > MAX_FILLED:
            raise BadValue(f"a text with its variables has more than {MAX_FILLED} characters")
        found.append(part)
    return "".join(found)


OWN = ("$vars", "$flow.state")
"""Variables, besides nodes' outputs, that stand for what is the flow's own."""


def own_variable(value: Any, nodes: Collection[str]) -> str | None:
    """The first variable in the texts of a JSON value, however it is written there, that stands for something of the
    flow's own: a variable of the workspace, the state, or what one of these nodes left. None without one."""
    for text in texts_in(value):
        for name in Template.parse(text).names:
            if name.startswith(OWN) or of_node(name, nodes) is not None:
                return name
        if text.lstrip()[:1] in ("{", "["):
            try:
                held = parsed(text)
            except ValueError:
                continue
            if isinstance(held, dict | list) and (found := own_variable(held, nodes)):
                return found
    return None


def json_filled(template: Template, values: Values) -> str:
    """A JSON text with the values in place: within quotes as a part of that text, elsewhere as JSON of their own, so
    that no value can change what stands around it."""
    parts: list[str] = []
    quoted, length = False, 0
    for place, part in enumerate(template.parts):
        if place % 2 == 0:
            parts.append(part)
            quoted = _ends_quoted(part, quoted)
            continue
        value = Template(("", part, "")).value(values)
        parts.append(json.dumps(shown(value))[1:-1] if quoted else json.dumps(value, ensure_ascii=False, default=str))
        length += len(parts[-1])
        if length > MAX_FILLED:
            raise BadValue(f"a text with its variables has more than {MAX_FILLED} characters")
    return "".join(parts)


def json_value(template: Template, values: Values) -> Any:
    """The value of a JSON text with the values in place, as `json_filled`; read as `json_text.lenient` does. A text
    that is one variable and nothing else is what that holds, JSON or not. Raises `ValueError`, `BadValue`."""
    if len(template.parts) == 3 and not (template.parts[0] + template.parts[2]).strip():
        value = template.value(values)
        try:
            return lenient(value) if isinstance(value, str) else value
        except ValueError:
            return value
    try:
        return parsed(json_filled(template, values))
    except ValueError:
        # the text alone is read with numbers in the places, which stand wherever values may: what a value holds is
        # never taken for quotes or commas of the text
        marks = {str(randbelow(9 * 10**15) + 10**15): Template(("", part, "")) for part in template.parts[1::2]}
        places = iter(marks)
        text = "".join(next(places) if at % 2 else part for at, part in enumerate(template.parts))
        return _Filling(marks, values).filled(lenient(text))


@dataclass(frozen=True, slots=True)
class _Filling:
    """Puts values into the places of a JSON value."""

    marks: Mapping[str, Template]
    values: Values

    def filled(self, value: Any) -> Any:
        """A mark becomes its value, or a part of a text. Raises `ValueError` for one within a number."""
        if isinstance(value, Mapping):
            return {self._text(name): self.filled(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, str):
            return self._text(value)
        written = "" if value is None or isinstance(value, bool) else repr(value)
        if written in self.marks:
            return self.marks[written].value(self.values)
        if any(mark in written for mark in self.marks):
            raise ValueError("a variable is part of a number")
        return value

    def _text(self, text: str) -> str:
        marks = re.compile("|".join(self.marks))
        return marks.sub(lambda found: self.marks[found[0]].text(self.values), text) if self.marks else text


def _ends_quoted(text: str, quoted: bool) -> bool:
    escaped = False
    for letter in text:
        if escaped:
            escaped = False
        elif quoted and letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
    return quoted


@dataclass(frozen=True, slots=True)
class Update:
    """A field of the flow's state, and what it becomes."""

    key: str
    value: Template
    given: Any = None
    """What it becomes where that is no text: a caller's own start state can hold any JSON."""

    @classmethod
    def read(cls, items: Any) -> "tuple[Update, ...]":
        """The rows of a node's `...UpdateState`, or of the start's `startState`; an object has a row a key."""
        if isinstance(items, Mapping):
            items = [{"key": key, "value": value} for key, value in items.items()]
        rows = items if isinstance(items, list) else []
        return tuple(
            cls(row["key"], Template.parse(value), None if isinstance(value, str) else value)
            for row in rows
            if isinstance(row, Mapping) and isinstance(row.get("key"), str) and row["key"]
            for value in [row.get("value")]
        )

    def made(self, values: Values) -> Any:
        """What it becomes."""
        return self.value.value(values) if self.given is None else self.given


@dataclass(frozen=True, slots=True)
class WithOutput:
    """Values, and what a node has just made: `{{ output }}` and `{{ output.path }}`."""

    values: Values
    output: Any

    def find(self, name: str) -> Found | None:
        """The output, else what it is otherwise."""
        if name == "output":
            return Found(self.output)
        if name.startswith("output."):
            return Found(within(self.output, name.removeprefix("output.")))
        return self.values.find(name)


def changes(updates: tuple[Update, ...], values: Values, output: Any) -> dict[str, Any]:
    """What becomes of the flow's state when a node has made `output`."""
    known = WithOutput(values, output)
    return {update.key: update.made(known) for update in updates}
