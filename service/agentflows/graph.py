"""The graph of an agentflow: its levels, which way they lead, and what is wrong with them. Nothing here knows a node's
work.

A level is what runs together: the flow itself, and the inside of each iteration. Edges leave a node by one of its
outputs: a number where it decides, the node's own name elsewhere. A loop has no edge: it names the node that it leads
back to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from service.chatflows import graph as graphs
from service.chatflows.graph import Graph, Node
from service.chatflows.types import Problem

START = "startAgentflow"
LOOP = "loopAgentflow"
ITERATION = "iterationAgentflow"
HUMAN = "humanInputAgentflow"
DECISIONS = frozenset({"conditionAgentflow", "conditionAgentAgentflow", HUMAN})
"""Nodes that take one of their outputs."""

_NAMED_OUTPUTS = {"proceed": 0, "reject": 1}


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` leads to `target` when it takes its output `branch`; None: whatever it takes."""

    source: str
    branch: int | None
    target: str

    @property
    def key(self) -> str:
        """How runs that wait remember it."""
        return f"{self.source}|{'' if self.branch is None else self.branch}|{self.target}"


@dataclass(frozen=True)
class Level:
    """The nodes that run together, in the graph's order, and the edges between them."""

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    loops: Mapping[str, str]
    """Loop node -> the node that it leads back to."""

    @cached_property
    def into(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that lead to each node."""
        return {node: tuple(edge for edge in self.edges if edge.target == node) for node in self.nodes}

    @cached_property
    def out(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that lead away from each node."""
        return {node: tuple(edge for edge in self.edges if edge.source == node) for node in self.nodes}

    @cached_property
    def starts(self) -> tuple[str, ...]:
        """The nodes that run first: the start node, else those that nothing leads to."""
        named = tuple(name for name, node in self.nodes.items() if node.name == START)
        return named or tuple(name for name in self.nodes if not self.into[name])

    def after(self, node: str) -> frozenset[str]:
        """The node and all that edges lead to from it: what a loop back to it does again."""
        return self._after[node]

    @cached_property
    def _after(self) -> Mapping[str, frozenset[str]]:
        return {node: self.reached([node]) for node in self.nodes}

    def reached(self, nodes: Iterable[str]) -> frozenset[str]:
        """These nodes and all that edges lead to from them."""
        found, pending = set(nodes), list(nodes)
        while pending:
            for edge in self.out[pending.pop()]:
                if edge.target not in found:
                    found.add(edge.target)
                    pending.append(edge.target)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class AgentGraph:
    """An agentflow's graph."""

    main: Level
    inside: Mapping[str, Level]
    """Iteration node -> what stands in it."""
    found: tuple[Problem, ...]
    """What is wrong with it, each thing named."""
    idle: frozenset[str] = frozenset()
    """Nodes that nothing leads to, which editors leave lying about. They stand on no level: no run reaches them."""

    @property
    def levels(self) -> tuple[Level, ...]:
        """Every level, the flow's own first."""
        return (self.main, *self.inside.values())


def parse(graph: Graph) -> AgentGraph:
    """The levels of a graph, with all that is wrong with their links."""
    found = graphs.problems(graph)
    inside: dict[str, Level] = {}
    for node in graph.nodes.values():
        if node.name == ITERATION:
            inside[node.id] = _level(graph, node.id, found)
    main = _level(graph, "", found)
    if idle := _idle(graph, (main, *inside.values())):
        nodes = {name: node for name, node in graph.nodes.items() if name not in idle}
        links = tuple(link for link in graph.links if idle.isdisjoint((link.source, link.target)))
        return replace(parse(Graph(nodes, links)), idle=idle)
    found += _homeless(graph, inside)
    found += _beginnings(main)
    for home, level in inside.items():
        found += _within(graph.nodes[home], level)
    for level in (main, *inside.values()):
        found += _undecided(level)
    return AgentGraph(main, inside, tuple(found))


def _idle(graph: Graph, levels: Iterable[Level]) -> frozenset[str]:
    """The nodes that nothing leads to, whatever is wrong with what leads; none where it is not clear what runs begin
    with."""
    starts = [node.id for node in graph.nodes.values() if node.name == START]
    follows: dict[str, list[str]] = {}
    for link in graph.links:
        follows.setdefault(link.source, []).append(link.target)
    if len(starts) != 1 or starts[0] not in follows:
        return frozenset()
    for node in graph.nodes.values():
        follows.setdefault(node.parent, []).append(node.id)
    for level in levels:
        for loop, target in level.loops.items():
            follows.setdefault(loop, []).append(target)
    reached, pending = set(starts), starts
    while pending:
        for name in follows.get(pending.pop(), ()):
            if name not in reached:
                reached.add(name)
                pending.append(name)
    return frozenset(graph.nodes.keys() - reached)


def _level(graph: Graph, parent: str, found: list[Problem]) -> Level:
    nodes = {name: node for name, node in graph.nodes.items() if node.parent == parent}
    edges: dict[Edge, None] = {}
    for link in graph.links:
        if link.source not in nodes or link.target not in graph.nodes:
            continue
        source = nodes[link.source]
        if link.target not in nodes:
            other = graph.nodes[link.target].title
            found.append(
                Problem(source.id, f"{source.title}: a link leads across the border of an iteration to {other}")
            )
            continue
        branch = _branch(source, link.output)
        if source.name in DECISIONS and branch is None:
            found.append(Problem(source.id, f"{source.title}: a link leaves by '{link.output}', which is no output"))
        else:
            edges[Edge(link.source, branch, link.target)] = None
    loops = {name: target for name, node in nodes.items() if (target := _loop(nodes, node, found))}
    return Level(nodes, tuple(edges), loops)


def _branch(source: Node, output: str) -> int | None:
    if source.name not in DECISIONS:
        return None
    if output in _NAMED_OUTPUTS:
        return _NAMED_OUTPUTS[output]
    return int(output) if output.isascii() and output.isdigit() and len(output) < 4 else None


def _loop(nodes: Mapping[str, Node], node: Node, found: list[Problem]) -> str:
    """The node that a loop leads back to; empty for none."""
    if node.name != LOOP:
        return ""
    named = node.inputs.get("loopBackToNode")
    text = named if isinstance(named, str) else ""
    # written as id-label; ids may hold dashes, so the longest that fits is meant
    fitting = [name for name in nodes if name != node.id and (text == name or text.startswith(f"{name}-"))]
    if fitting:
        return max(fitting, key=len)
    where = f"'{text}', which is not there" if text else "no node"
    found.append(Problem(node.id, f"{node.title}: the loop leads back to {where}"))
    return ""


def _homeless(graph: Graph, inside: Mapping[str, Level]) -> list[Problem]:
    return [
        Problem(node.id, f"{node.title}: stands in '{node.parent}', which is no iteration")
        for node in graph.nodes.values()
        if node.parent and node.parent not in inside
    ]


def _beginnings(main: Level) -> list[Problem]:
    starts = [node for node in main.nodes.values() if node.name == START]
    if not starts:
        return [Problem("", "no start node begins the flow")]
    if len(starts) > 1:
        titles = ", ".join(node.title for node in starts)
        return [Problem("", f"exactly one start node must begin the flow; these do: {titles}")]
    (start,) = starts
    if not main.out[start.id]:
        return [Problem(start.id, f"{start.title}: leads to nothing")]
    return []


def _within(home: Node, level: Level) -> list[Problem]:
    if not level.nodes:
        return [Problem(home.id, f"{home.title}: nothing stands in the iteration")]
    texts = {
        START: "a start node cannot stand in an iteration",
        HUMAN: "nobody can be asked within an iteration; ask before or behind it",
    }
    return [
        Problem(node.id, f"{node.title}: {texts[node.name]}") for node in level.nodes.values() if node.name in texts
    ]


def _undecided(level: Level) -> Sequence[Problem]:
    return [
        Problem(node.id, f"{node.title}: none of its branches leads anywhere")
        for node in level.nodes.values()
        if node.name in DECISIONS and not level.out[node.id]
    ]
