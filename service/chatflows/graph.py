"""Reads flowData (contract b.1): nodes, links and what is wrong with them. Nothing here knows a step.

Links stand in the graph twice, as edges and as templates in inputs; edges are believed first. Node ids are opaque: what
a node is stands in `data.name`.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.chatflows.types import BrokenGraph, Problem

STICKY_NOTES = frozenset({"stickyNote", "stickyNoteAgentflow"})
ENDINGS = frozenset({"Chains", "Agents", "Engine"})
"""Categories that can end a chatflow."""

MAX_NODES = 2_000
MAX_LINKS = 10_000

CREDENTIAL_FIELDS = ("FLOWISE_CREDENTIAL_ID", "credential")
"""Inputs that name a credential, where the node itself does not: editors of some versions keep it there."""

_TEMPLATE = re.compile(r"\{\{\s*([^{}]+?)\.data\.instance\s*\}\}")
_VALUES = re.compile(r"\{\s*\"")


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it stands in the graph."""

    id: str
    name: str
    label: str
    category: str
    inputs: Mapping[str, Any]
    output: str
    credential: str
    parent: str = ""
    """The node that this one stands in: iterations of agentflows hold others."""

    @property
    def title(self) -> str:
        """How messages name the node: its label and its id."""
        return f"{self.label or self.name} ({self.id})"


@dataclass(frozen=True, slots=True)
class Link:
    """`source`'s output `output` feeds `target`'s input `input`; both are node ids."""

    source: str
    output: str
    target: str
    input: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A flow's nodes by id, without sticky notes, and their links in the graph's order."""

    nodes: Mapping[str, Node]
    links: tuple[Link, ...]

    def into(self, node: str) -> list[Link]:
        """The links that feed a node."""
        return [link for link in self.links if link.target == node]

    def behind(self, node: str, anchor: str) -> list[Node]:
        """The nodes that are linked to an input, in the graph's order."""
        sources = (link.source for link in self.into(node) if link.input == anchor)
        return [self.nodes[source] for source in sources if source in self.nodes]

    def without(self, links: Collection[Link]) -> "Graph":
        """The graph without these links, and without the nodes that served nothing but them."""
        kept = tuple(link for link in self.links if link not in links)
        stay = self.nodes.keys() - {node.id for link in links for node in self.needed_by(link.source)}
        while serving := {link.source for link in kept if link.target in stay} & self.nodes.keys() - stay:
            stay |= serving
        gone = self.nodes.keys() - stay
        nodes = {name: node for name, node in self.nodes.items() if name in stay}
        return Graph(nodes, tuple(link for link in kept if link.source not in gone and link.target not in gone))

    def spliced(self, gone: Collection[str]) -> "Graph":
        """The graph without these nodes: what fed one of them feeds what that one fed, by the same input."""
        links = list(self.links)
        for name in gone:
            feeding = [link for link in links if link.target == name and link.source != name]
            joined: list[Link] = []
            for link in links:
                if link.source == name:
                    joined += [Link(fed.source, fed.output, link.target, link.input) for fed in feeding]
                elif link.target != name:
                    joined.append(link)
            links = joined
        return Graph({name: node for name, node in self.nodes.items() if name not in gone}, tuple(links))

    def endings(self) -> list[Node]:
        """Nodes that feed no other."""
        feeding = {link.source for link in self.links}
        return [node for node in self.nodes.values() if node.id not in feeding]

    def needed_by(self, node: str) -> list[Node]:
        """The node and all that feed it, directly or not; every one after the nodes that feed it, unless in a cycle."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        pending: list[tuple[str, bool]] = [(node, False)]
        while pending:
            current, fed = pending.pop()
            if fed:
                found[current] = None
            elif current not in seen and current in self.nodes:
                seen.add(current)
                pending.append((current, True))
                pending.extend((link.source, False) for link in reversed(self.into(current)))
        return [self.nodes[name] for name in found]


def parse(flow_data: str) -> Graph:
    """The graph in a flow's data. Raises `BrokenGraph` with the reason when it is none."""
    try:
        data = json.loads(flow_data)
    except (ValueError, RecursionError) as error:
        raise BrokenGraph(f"flowData: not JSON: {error}") from None
    if not isinstance(data, dict):
        raise BrokenGraph("flowData: must be an object with nodes and edges")
    nodes = _list(data, "nodes", MAX_NODES)
    edges = _list(data, "edges", MAX_LINKS)
    parsed: dict[str, Node] = {}
    notes: set[str] = set()
    for position, raw in enumerate(nodes):
        node = _node(raw, position)
        if node.id in parsed or node.id in notes:
            raise BrokenGraph(f"flowData.nodes[{position}]: the id '{node.id}' is taken")
        if node.name in STICKY_NOTES:
            notes.add(node.id)
        else:
            parsed[node.id] = node
    drawn = dict.fromkeys(_edge(raw, position) for position, raw in enumerate(edges))  # editors may draw a link twice
    links = [link for link in drawn if link.source not in notes and link.target not in notes]
    return Graph(parsed, tuple(dict.fromkeys(_with_templates(parsed, links))))


def problems(graph: Graph) -> list[Problem]:
    """What is wrong with the links: ends that are missing, and cycles, each named."""
    found = []
    for link in graph.links:
        for end, role in ((link.source, "comes from"), (link.target, "leads to")):
            if end not in graph.nodes:
                other = graph.nodes.get(link.target if end == link.source else link.source)
                where = other.title if other else link.input
                found.append(Problem(other.id if other else "", f"{where}: a link {role} '{end}', which is not there"))
    if cycle := _cycle(graph):
        names = " -> ".join(graph.nodes[node].title for node in [*cycle, cycle[0]])
        found.append(Problem(cycle[0], f"The links form a cycle: {names}"))
    return found


def _list(data: Mapping[str, Any], name: str, most: int) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise BrokenGraph(f"flowData.{name}: must be an array")
    if len(value) > most:
        raise BrokenGraph(f"flowData.{name}: more than {most}")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _node(raw: Any, position: int) -> Node:
    where = f"flowData.nodes[{position}]"
    if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
        raise BrokenGraph(f"{where}: must be an object with data")
    data = raw["data"]
    identifier = raw.get("id") or data.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise BrokenGraph(f"{where}.id: must be a text")
    kind = _text(raw.get("type"))
    name = _text(data.get("name")) or (kind if kind in STICKY_NOTES else "")
    if not name:
        raise BrokenGraph(f"{where}.data.name: must be a text")
    inputs = data["inputs"] if isinstance(data.get("inputs"), dict) else {}
    outputs = data.get("outputs")
    credentials = (_text(held) for held in (data.get("credential"), *map(inputs.get, CREDENTIAL_FIELDS)))
    return Node(
        id=identifier,
        name=name,
        label=_text(data.get("label")),
        category=_text(data.get("category")),
        inputs=inputs,
        output=_text(outputs.get("output")) if isinstance(outputs, dict) else "",
        credential=next(filter(None, credentials), ""),
        parent=_text(raw.get("parentNode")),
    )


def _edge(raw: Any, position: int) -> Link:
    where = f"flowData.edges[{position}]"
    if not isinstance(raw, dict):
        raise BrokenGraph(f"{where}: must be an object")
    source, target = raw.get("source"), raw.get("target")
    if not isinstance(source, str) or not isinstance(target, str):
        raise BrokenGraph(f"{where}: source and target must be texts")
    # an edge without handles may have them in its id: `<source>-<its handle>-<target>-<its handle>`
    identifier = _text(raw.get("id"))
    return Link(
        source=source,
        output=_handle(_text(raw.get("sourceHandle")) or identifier.removeprefix(f"{source}-"), source, "output"),
        target=target,
        input=_handle(_text(raw.get("targetHandle")) or identifier, target, "input"),
    )


def _handle(handle: str, node: str, kind: str) -> str:
    """The parameter in a handle `<node>-<kind>-<parameter>-<types>`; node ids may hold anything, so they go first."""
    prefix = f"{node}-{kind}-"
    if handle.startswith(prefix):
        rest = handle[len(prefix) :]
    else:
        rest = handle.rpartition(f"-{kind}-")[2] if f"-{kind}-" in handle else ""
    return rest.partition("-")[0]


def _with_templates(nodes: Mapping[str, Node], links: list[Link]) -> Iterable[Link]:
    """The edges, then the links that stand only as a template: the whole of an input, or a value of the JSON in it."""
    yield from links
    drawn = {(link.target, link.input) for link in links}
    for node in nodes.values():
        for name, value in node.inputs.items():
            if (node.id, name) in drawn:
                continue
            for item in value if isinstance(value, list) else [value]:
                text = item.strip() if isinstance(item, str) else ""
                if match := _TEMPLATE.fullmatch(text):
                    yield Link(match.group(1), "", node.id, name)
                elif _VALUES.match(text):
                    yield from (Link(found, "", node.id, name) for found in _TEMPLATE.findall(text) if found in nodes)


def _cycle(graph: Graph) -> list[str]:
    """The nodes of one cycle in the order of its links; empty when there is none."""
    follows: dict[str, list[str]] = {node: [] for node in graph.nodes}
    for link in graph.links:
        if link.source in follows and link.target in follows:
            follows[link.source].append(link.target)
    done: set[str] = set()
    for start in follows:
        path: list[str] = []
        on_path: set[str] = set()
        pending: list[tuple[str, bool]] = [(start, False)]
        while pending:
            node, leaving = pending.pop()
            if leaving:
                path.pop()
                on_path.discard(node)
                done.add(node)
            elif node in on_path:
                return path[path.index(node) :]
            elif node not in done:
                path.append(node)
                on_path.add(node)
                pending.append((node, True))
                pending.extend((after, False) for after in follows[node])
    return []
