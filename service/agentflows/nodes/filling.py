"""Places in the configuration of a tool, which each run fills: such a tool is made anew for every run.

What was said in a run may stand in texts; where it would decide what is called, the flow is refused when it is
compiled: a host stands in the node itself, or in a variable of the workspace.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from service.agentflows.state import Moment
from service.agentflows.templates import Template, json_filled, of_node
from service.agentflows.types import BadValue
from service.chatflows.graph import Node
from service.chatflows.run import Backing
from service.chatflows.steps.base import BadOption
from service.chatflows.steps.tool import ToolStep
from service.chatflows.texts import CREDENTIALS, UNREAD, WORDS

KNOWN = frozenset(
    {"question", "chat_history", "runtime_messages_length", "loop_count", "current_date_time", "file_attachment"}
)
SCOPES = ("$flow", "$vars", "$form", "$webhook", "$iteration")

_HOST = re.compile(r"https?://[^/?#{}\s@]+[/?#]", re.IGNORECASE)


def places(template: Template, names: frozenset[str]) -> list[str]:
    """The variables of a text that stand for something in a flow with nodes of these names."""
    return [
        name for name in template.names if name in KNOWN or name.startswith(SCOPES) or of_node(name, names) is not None
    ]


def pins_host(template: Template) -> bool:
    """Whether an address names its host itself, or by variables of the workspace, whatever else stands in it."""
    begun = ""
    for place, part in enumerate(template.parts):
        if place % 2 == 0:
            begun += part
        elif template.names[place // 2].startswith("$vars."):
            begun += "https://v" if not begun.strip() else "v"
        else:
            break
    return _HOST.match(begun.strip()) is not None


def address(template: Template, moment: Moment) -> str:
    """An address with the values in place. Where it names its host, what was said in a run stays in its place: it adds
    no part of the path, no parameter. Raises `BadValue` for a value that would lead up in the path."""
    if not pins_host(template):
        return template.text(moment).strip()
    filled = "".join(
        quote(text, safe="") if place % 2 and not template.names[place // 2].startswith("$vars.") else text
        for place, text in enumerate(
            Template(("", part, "")).text(moment) if at % 2 else part for at, part in enumerate(template.parts)
        )
    ).strip()
    path = re.split("[?#]", filled.partition("://")[2], maxsplit=1)[0]
    if len(template.parts) > 1 and any(unquote(part) in (".", "..") for part in path.split("/")):
        raise BadValue("a value cannot stand in the path of an address: it would lead elsewhere")
    return filled


def trouble(config: Mapping[str, Any], names: frozenset[str]) -> Iterator[str]:
    """Places where nothing may be put, each named."""
    for field, template in _templates(config):
        said = [name for name in places(template, names) if not name.startswith("$vars.")]
        if field in CREDENTIALS and places(template, names):
            yield f"{field}: credentials are chosen, not written"
        elif said and not WORDS.search(field) and not pins_host(template):
            yield f"{field}: {{{{ {said[0]} }}}} cannot stand here: what is said in a run decides no such thing"


def has_places(config: Mapping[str, Any], names: frozenset[str]) -> bool:
    """Whether a run has anything to fill."""
    return any(places(template, names) for _, template in _templates(config))


def _templates(config: Mapping[str, Any]) -> Iterator[tuple[str, Template]]:
    for field, value in config.items():
        if UNREAD.search(field):
            continue
        pending = [value]
        while pending:
            current = pending.pop()
            if isinstance(current, str):
                yield field, Template.parse(current)
            elif isinstance(current, Mapping):
                pending.extend(current.values())
            elif isinstance(current, list):
                pending.extend(current)


def filled(config: Mapping[str, Any], moment: Moment) -> dict[str, Any]:
    """The configuration as a run has it."""
    return {
        field: value if UNREAD.search(field) or field in CREDENTIALS else _filled(field, value, moment)
        for field, value in config.items()
    }


def _filled(field: str, value: Any, moment: Moment) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(field, item, moment) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(field, item, moment) for item in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    template = Template.parse(value)
    if not WORDS.search(field) and pins_host(template):
        return address(template, moment)
    # a text that holds JSON stays what it is: values enter its texts only
    return json_filled(template, moment) if value.lstrip()[:1] in ("{", "[") else template.text(moment)


@dataclass(frozen=True, slots=True)
class LateTool:
    """A tool that is made when its node runs."""

    node: Node
    kind: type[ToolStep]

    @property
    def named(self) -> frozenset[UUID]:
        """What it names, in whatever run."""
        step = self._unfilled()
        return frozenset() if step is None else step.named

    async def look_up(self, workspace: UUID, backing: Backing) -> None:
        """Check before the first run that what it names is there. Raises what its `prepare` raises."""
        step = self._unfilled()
        if step is not None and step.named:
            try:
                await step.prepare(workspace, backing)
            finally:
                await step.close()

    def _unfilled(self) -> ToolStep | None:
        """The tool as it is written; None where it can be made only once it is filled."""
        try:
            return self.kind.build(self.node, {anchor.name: () for anchor in self.kind.anchors})
        except BadOption:
            return None

    async def opened(self, moment: Moment, stack: AsyncExitStack) -> ToolStep:
        """The tool, which the stack closes. Raises `BadValue` for a configuration that cannot be used so filled, and
        what its `prepare` raises."""
        node = replace(self.node, inputs=filled(self.node.inputs, moment))
        try:
            step = self.kind.build(node, {anchor.name: () for anchor in self.kind.anchors})
        except BadOption as error:
            raise BadValue(f"{self.node.title}: {self.node.name}: {error}") from None
        stack.push_async_callback(step.close)
        await step.prepare(moment.run.workspace, moment.run.backing)
        return step
