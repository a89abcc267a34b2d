"""Places in the inputs of a chatflow's nodes that each run fills: `{{question}}`, `{{$vars.name}}` and their like.

They are filled literally, in one pass over what the author wrote: what is put in is never looked at again. Nodes with
such inputs, and those that they feed, are compiled for each run; all others are shared. Prompts and functions fill
their own texts, agentflows all of theirs.

What callers say may stand in texts only. Where it would decide what is called, opened or run, the flow is refused: that
an input is a text is told by its name, and what no name tells is none.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.chatflows.graph import Graph, Node
from service.chatflows.run import Run
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import Step
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind, Turn
from service.json_text import parsed
from service.plugins import resolve

VARIABLES = "$vars."

PLACE = re.compile(
    r"\{\{\s*(question|chat_history|file_attachment|\$flow\.(?:input|sessionId|chatId|chatflowId)|\$vars\.[\w.-]+)\s*\}\}"
)
"""A place, with what stands for it."""

OWN = frozenset({"$flow.chatflowId"})
"""What stands for places, besides variables, that no caller says."""

WORDS = re.compile(
    r"(message|prompt|desc|description|query|text|template|prefix|suffix|instructions?|filter|body|values?|variables"
    r"|denylist|input|question)$",
    re.IGNORECASE,
)
"""Names of inputs that are texts: what callers say may stand in them."""

UNREAD = re.compile(r"(code|func|function|file)$", re.IGNORECASE)
"""Names of inputs that are left as they are: code, which has the same values as variables, and files."""

CODE = re.compile(r"(code|func|function)$", re.IGNORECASE)
"""Those of them that are code."""

CREDENTIALS = frozenset({"credential", "FLOWISE_CREDENTIAL_ID"})
"""Inputs that no value may stand in."""

SESSION = "sessionId"
"""An input of memories. A place of the session in it says what holds anyway."""

ASKED = "{{question}}"
"""As the query of a retriever it says what holds anyway."""

_FORMAT = re.compile(r"\{(context|chat_history|question)\}")


@dataclass(frozen=True, slots=True)
class Templates:
    """The nodes of a flow that runs fill."""

    filled: frozenset[str]
    deferred: frozenset[str]
    """These, and those that they feed: compiled for each run."""

    def unset(self, graph: Graph) -> Graph:
        """The graph without the inputs that runs fill."""
        nodes = {name: _without(node) if name in self.filled else node for name, node in graph.nodes.items()}
        return replace(graph, nodes=nodes)

    def fill(self, graph: Graph, run: Run) -> Graph:
        """The graph as a run has it. Raises `FlowNotRunnable` naming a variable that there is not."""
        known = Known(run)
        nodes = {name: _filled(node, known) if name in self.filled else node for name, node in graph.nodes.items()}
        return replace(graph, nodes=nodes)


class Known(Mapping[str, str]):
    """What stands for the places of one run, by their names."""

    def __init__(self, run: Run, history: Sequence[Turn] | None = None, more: Mapping[str, str] | None = None) -> None:
        """Works out nothing that is not asked for. `history` takes the place of the run's, `more` stands for further
        names."""
        self._run = run
        self._turns = run.history if history is None else history
        self._simple = {
            **(more or {}),
            "question": run.question,
            "$flow.input": run.question,
            "$flow.sessionId": run.session,
            "$flow.chatId": run.chat,
            "$flow.chatflowId": str(run.chatflow or ""),
        }

    def __getitem__(self, name: str) -> str:
        """Raises `FlowNotRunnable` for a variable that there is not."""
        if name.startswith(VARIABLES):
            return self._variable(name.removeprefix(VARIABLES))
        if name == "chat_history":
            return self._history()
        if name == "file_attachment":
            return self._documents()
        return self._simple[name]

    def __iter__(self) -> Iterator[str]:
        yield from (*self._simple, "chat_history", "file_attachment")

    def __len__(self) -> int:
        return len(self._simple) + 2

    def _variable(self, name: str) -> str:
        try:
            return self._run.variables[name]
        except KeyError:
            raise FlowNotRunnable(
                f"{{{{{VARIABLES}{name}}}}}: there is no variable '{name}' here, or it has no value"
            ) from None

    def _history(self) -> str:
        from service.chatflows.steps.prompts import transcript
        from service.untrusted import Fence

        return transcript(self._turns, Fence())

    def _documents(self) -> str:
        from service.untrusted import Fence

        if not self._run.documents:
            return ""
        fence = Fence()
        rows = [fence.put(item.text, "document", title=item.name) for item in self._run.documents]
        return "\n".join([fence.note, *rows])


def fill(text: str, known: Mapping[str, str]) -> str:
    """A text with its places filled, once. Raises what `known` does."""
    return PLACE.sub(lambda place: known[place[1]], text)


def find(graph: Graph) -> Templates | None:
    """The nodes of a chatflow that runs fill; None when there is none."""
    filled = frozenset(node.id for node in graph.nodes.values() if any(True for _ in _places(node)))
    if not filled:
        return None
    deferred, pending = set(filled), list(filled)
    while pending:
        current = pending.pop()
        for link in graph.links:
            if link.source == current and link.target not in deferred:
                deferred.add(link.target)
                pending.append(link.target)
    return Templates(filled, frozenset(deferred))


def problems(graph: Graph) -> list[Problem]:
    """Places where nothing may be put, each named."""
    found = []
    for node in graph.nodes.values():
        for name, place in _places(node):
            if _may(name, place):
                continue
            why = "what callers say decides no such thing" if name not in CREDENTIALS else "credentials are chosen"
            text = f"{node.title}: {name}: {{{{{place}}}}} cannot stand here: {why}"
            found.append(Problem(node.id, text, ProblemKind.SETTING))
    return found


def _may(name: str, place: str) -> bool:
    if name in CREDENTIALS:
        return False
    if place.startswith(VARIABLES) or place in OWN:
        return name != SESSION
    return bool(WORDS.search(name)) or (name == SESSION and place in ("$flow.sessionId", "$flow.chatId"))


def _kind(node: Node) -> type[Step] | None:
    return resolve(STEPS, node.name, "node") if node.name in STEPS else None


def _inputs(node: Node) -> Iterator[tuple[str, Any]]:
    """The inputs of a node that may have places."""
    kind = _kind(node)
    if kind is None or kind.fills:
        return
    linked = {anchor.name for anchor in kind.anchors}
    for name, value in node.inputs.items():
        if name in linked or UNREAD.search(name) or not isinstance(value, str | dict | list):
            continue
        if name != "query" or value != ASKED:
            yield name, value


def _places(node: Node) -> Iterator[tuple[str, str]]:
    """The places in a node: the input's name, and what stands for it."""
    for name, value in _inputs(node):
        for text in texts_in(value):
            for place in PLACE.finditer(text):
                yield name, place[1]


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            yield current
        elif isinstance(current, Mapping):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)


def _without(node: Node) -> Node:
    held = {name for name, _ in _places(node)}
    return replace(node, inputs={name: value for name, value in node.inputs.items() if name not in held})


def _filled(node: Node, known: Known) -> Node:
    kind = _kind(node)
    formats = kind.formats if kind is not None else frozenset()
    held = {name for name, _ in _places(node)}
    try:
        inputs = {
            name: value if name not in held or name == SESSION else _value(value, known, name in formats)
            for name, value in node.inputs.items()
        }
    except FlowNotRunnable as error:
        text = f"{node.title}: {error.message}"
        raise FlowNotRunnable(text, [Problem(node.id, text, ProblemKind.SETTING)]) from None
    if SESSION in held:
        inputs[SESSION] = ""
    return replace(node, inputs=inputs)


def _value(value: Any, known: Known, is_format: bool) -> Any:
    """A JSON value with the places in its texts filled. A text that holds JSON stays what it is: values enter its texts
    only."""
    if isinstance(value, Mapping):
        return {name: _value(item, known, is_format) for name, item in value.items()}
    if isinstance(value, list):
        return [_value(item, known, is_format) for item in value]
    if not isinstance(value, str) or PLACE.search(value) is None:
        return value
    if value.lstrip().startswith(("{", "[")) and (held := _json(value)) is not None:
        return json.dumps(_value(held, known, is_format), ensure_ascii=False)
    if is_format:
        return PLACE.sub(lambda place: _FORMAT.sub(r"{{\1}}", known[place[1]]), value)
    return fill(value, known)


def _json(text: str) -> Any:
    try:
        value = parsed(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def variables_in(text: str) -> frozenset[str] | None:
    """The variables that a flow's data names; None where scripts may ask for any."""
    if any(f'"{name}"' in text for name in _SCRIPTED):
        return None
    return frozenset(_VARIABLE.findall(text))


_VARIABLE = re.compile(r"\$vars\.([\w.-]+)")
_SCRIPTED = ("customTool", "customFunction", "customFunctionAgentflow", "openAPIToolkit")
