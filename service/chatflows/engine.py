"""Compiles graphs into typed steps, once per version of a flow, and runs them."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from loaders import FLOWISE_LOADERS
from loaders.splitters import FLOWISE_SPLITTERS
from service.chatflows import graph as graphs
from service.chatflows.elsewhere import ELSEWHERE, KEPT_HERE, VECTOR_STORES
from service.chatflows.graph import ENDINGS, Graph, Link, Node
from service.chatflows.preparing import Preparation, credentials_in, together
from service.chatflows.run import Backing, Run
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import Anchor, BadOption, EndingStep, ModelStep, RetrieverStep, Step
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind, StepEvent
from service.errors import ServiceError
from service.plugins import resolve
from service.providers.chat.services import own_model

PASSED_ON = frozenset({"document", "text"})
"""Outputs of retrievers that are what was found, and no retriever."""

CACHES = "Cache"
"""The category of nodes that would keep a model's answers, or vectors. Both are made anew here: such nodes are left
out."""

STORES = "Vector Stores"
"""The category of nodes that hold vectors."""

ENDING_OUTPUT = "EndingNode"
"""The output by which a function ends a flow."""

AGENTS_OF_OLD = frozenset({"Multi Agents", "Sequential Agents"})
"""Categories of the agentflows of version 1, none of whose nodes is here."""

FILLED_BY = frozenset({"document", "embeddings", "recordManager", "model"})
"""Inputs of vector stores of other products that only upserts need."""

LOADING = frozenset({*FLOWISE_LOADERS, *FLOWISE_SPLITTERS, "documentStore"})
"""Nodes that bring documents into vector stores: upserts run them, no answer does."""

LOADS = (
    "the node '{name}' brings documents into a vector store; nothing else takes them here. Link it to the documents of"
    " a vector store, or write its text into the prompt"
)

UNLINKABLE = "which takes no links here. What a node says can stand in the values of a prompt (promptValues)"

UNSUPPORTED = "the node '{name}' is not supported{near}. GET /api/v1/nodes lists those that are"


class CompiledFlow:
    """A flow ready to run, shared by all of its predictions."""

    def __init__(self, ending: EndingStep, steps: tuple[Step, ...], lender: "CompiledFlow | None" = None) -> None:
        """`steps` hold every step that the ending needs, each after those that feed it. Those that are the `lender`'s
        too are prepared and closed by it alone; it outlives this flow."""
        self.ending = ending
        self.steps = steps
        lent = {id(step) for step in lender.steps} if lender is not None else set()
        self.own = tuple(step for step in steps if id(step) not in lent)
        self.deferred: frozenset[str] = frozenset()
        """Nodes that each run fills and compiles anew: nothing of theirs is opened here."""
        self._preparation = Preparation()

    @property
    def session(self) -> str:
        """The fixed session id of the memory node; empty without one."""
        return self.ending.memory.session if self.ending.memory else ""

    @property
    def memory_label(self) -> str | None:
        """What the answers call `memoryType`; None without a memory node."""
        memory = self.ending.memory
        return (memory.node.label or memory.label) if memory else None

    @property
    def named(self) -> frozenset[UUID]:
        """What the steps name: credentials, document stores, other flows, tools."""
        credentials = credentials_in(step.node.credential for step in self.steps)
        return credentials.union(*(step.named for step in self.steps))

    @property
    def searched(self) -> UUID | None:
        """The document store that a question without earlier turns is looked up in first, word for word."""
        return None if self.deferred else self.ending.searched

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open what the runs share, once; a failure is not kept. Raises a `ServiceError` that names the nodes."""
        await self._preparation.once(lambda: self._prepare(workspace, backing))

    async def _prepare(self, workspace: UUID, backing: Backing) -> None:
        shared = [step for step in self.own if step.node.id not in self.deferred]
        await together(step.prepare(workspace, backing) for step in shared)

    async def run(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer's events, what retrievers' models took as soon as it is known. `prepare` has succeeded. Closing it
        stops every call that it made."""
        async with aclosing(self.ending.reply(run)) as events:
            async for event in events:
                while run.spent:
                    yield run.spent.pop(0)
                yield event
        while run.spent:
            yield run.spent.pop(0)

    async def close(self) -> None:
        """Give back what was opened. `prepare` would open it again."""
        self._preparation.forget()
        for step in self.own:
            await step.close()


@dataclass(slots=True)
class Examined:
    """A graph, as far as it could be compiled. Without `problems`, `ending` answers."""

    ending: EndingStep | None = None
    steps: list[Step] = field(default_factory=list)
    """Each after those that feed it."""
    problems: list[Problem] = field(default_factory=list)


def compile_flow(graph: Graph, *, chat_model: str = "", lender: CompiledFlow | None = None) -> CompiledFlow:
    """The flow of a graph. `chat_model` (RAGSTONE_CHAT_MODEL) answers where a chain is linked to no model. Steps of the
    `lender` whose nodes, and all that feeds them, are the same here are taken from it.

    Raises `FlowNotRunnable`, which names every node that stands in the way and why.
    """
    found = examine(graph, chat_model=chat_model, lender=lender)
    if found.problems or found.ending is None:
        raise _not_runnable(found.problems)
    return CompiledFlow(found.ending, tuple(found.steps), lender)


def examine(graph: Graph, *, chat_model: str = "", lender: CompiledFlow | None = None) -> Examined:
    """Compiles what can be compiled, and says what stands in the way of the rest; see `compile_flow`."""
    graph = answering(graph)
    examined = Examined(problems=graphs.problems(graph))
    ending, more = _ending(graph)
    found = examined.problems
    linked = not found
    found += more
    if not linked:
        return examined  # nodes would be judged by links that are not theirs
    built: dict[str, Step] = {}
    kept = {step.node.id: step for step in lender.steps} if lender is not None else {}
    roots = [ending] if ending is not None else graph.endings()
    for node in {node.id: node for root in roots for node in graph.needed_by(root.id)}.values():
        if node.name not in STEPS:
            continue  # _ending has said so
        step = _build(graph, node, built, found, examined.steps, chat_model, kept.get(node.id))
        if step is not None:
            built[node.id] = step
            examined.steps.append(step)
    last = built.get(ending.id) if ending is not None else None
    examined.ending = last if isinstance(last, EndingStep) else None
    return examined


def answering(graph: Graph) -> Graph:
    """The part of a graph that answers: without what only upserts need, and without caches."""
    graph = without_caches(graph)
    return graph.without([link for link in graph.links if _only_for_upserts(graph, link)])


def without_caches(graph: Graph) -> Graph:
    """The graph without caches: the embedding behind one of them feeds what the cache did."""
    return graph.spliced([node.id for node in graph.nodes.values() if node.category == CACHES])


async def lacking(steps: Sequence[Step], workspace: UUID, backing: Backing) -> list[Problem]:
    """What a run of these steps would be refused for before it begins. Whatever was opened is closed again."""
    failures = await asyncio.gather(*(_refusals(step, workspace, backing) for step in steps))
    return [problem for found in failures for problem in found]


async def _refusals(step: Step, workspace: UUID, backing: Backing) -> list[Problem]:
    try:
        await step.prepare(workspace, backing)
    except ServiceError as error:
        return problems_in(error, step.node, step.title, step.credential)
    finally:
        await step.close()
    return []


def problems_in(error: ServiceError, node: Node, title: str, components: tuple[str, ...] = ()) -> list[Problem]:
    """Why a node could not be prepared; `components` are the kinds of credential that it takes."""
    if isinstance(error, FlowNotRunnable):
        return list(error.problems) or [Problem(node.id, error.message, ProblemKind.SETTING)]
    if error.code == "host_not_allowed":
        return [Problem(node.id, f"{title}: {error.message}", ProblemKind.CREDENTIAL, components)]
    return [Problem(node.id, f"{title}: {error.message}", ProblemKind.SETTING)]


def unsupported(graph: Graph) -> list[Node]:
    """The nodes that no step stands for."""
    return [node for node in graph.nodes.values() if node.name not in STEPS]


def instead_of(node: Node, known: Collection[str] = STEPS) -> str:
    """Why a node cannot be run here, and what to use instead; `known` are the nodes that can in its kind of flow."""
    if node.name in ELSEWHERE:
        return f"the node '{node.name}' is not available here. {ELSEWHERE[node.name]}"
    near = ", ".join(get_close_matches(node.name, known, 4, 0.5))
    said = UNSUPPORTED.format(name=node.name, near=f"; similar ones: {near}" if near else "")
    return f"{said}. {KEPT_HERE}" if node.category == STORES else said


def _not_runnable(found: list[Problem]) -> FlowNotRunnable:
    return FlowNotRunnable("This flow cannot run. " + "; ".join(problem.text for problem in found), found)


def _unsupported(node: Node) -> Problem:
    text = LOADS.format(name=node.name) if node.name in LOADING else instead_of(node)
    return Problem(node.id, f"{node.title}: {text}", ProblemKind.UNSUPPORTED)


def _only_for_upserts(graph: Graph, link: Link) -> bool:
    """Whether a link brings documents into a vector store: answers need nothing of it."""
    target = graph.nodes.get(link.target)
    if target is None:
        return False
    if target.name not in STEPS:
        return (target.name in VECTOR_STORES or target.category == STORES) and link.input in FILLED_BY
    kind: type[Step] = resolve(STEPS, target.name, "node")
    return link.input in kind.upserts


def ends(node: Node) -> bool:
    """Whether a node is of a kind that can end a flow."""
    return _category(node) in ENDINGS or node.output == ENDING_OUTPUT


def ending_nodes(graph: Graph) -> list[Node]:
    """The nodes that could end a chatflow. Beside those that others feed, one that nothing is linked to lies about."""
    found = [node for node in graph.endings() if ends(node)]
    return [node for node in found if graph.into(node.id)] or found


def _category(node: Node) -> str:
    if node.category or node.name not in STEPS:
        return node.category
    step: type[Step] = resolve(STEPS, node.name, "node")
    return step.category


def _ending(graph: Graph) -> tuple[Node | None, list[Problem]]:
    """The one node that answers, else what is wrong."""
    endings = ending_nodes(graph)
    if len(endings) == 1:
        unknown = [node for node in graph.needed_by(endings[0].id) if node.name not in STEPS]
        return endings[0], [_unsupported(node) for node in unknown]
    found = [_unsupported(node) for node in unsupported(graph)]
    if endings:
        titles = ", ".join(node.title for node in endings)
        return None, [*found, Problem("", f"exactly one chain, agent or engine must end the flow; these do: {titles}")]
    if any(node.category in AGENTS_OF_OLD for node in graph.endings()):
        return None, found
    return None, [*found, Problem("", "no chain, agent or engine ends the flow")]


def _build(
    graph: Graph,
    node: Node,
    built: Mapping[str, Step],
    found: list[Problem],
    order: list[Step],
    chat_model: str,
    kept: Step | None,
) -> Step | None:
    """The step of a node whose feeding steps are `built`; None after adding to `found` what is wrong. `kept` is the
    step that the node had: it is taken again if nothing has changed."""
    kind: type[Step] = resolve(STEPS, node.name, "node")
    before = len(found)
    links: dict[str, tuple[Step, ...]] = {}
    waits = False
    for anchor in kind.anchors:
        sources = [link.source for link in graph.into(node.id) if link.input == anchor.name]
        if any(source in graph.nodes and source not in built for source in sources):
            waits = True  # what stands in the way of those is known
            continue
        behind = [built[source] for source in sources if source in built]
        if not behind and anchor.accepts is ModelStep and not anchor.optional:
            behind = [*kept.links[anchor.name]] if kept is not None else [default_model(chat_model)]
            order.extend(behind)
        links[anchor.name] = tuple(behind)
        found += [Problem(node.id, text) for text in _misfits(node, anchor, behind)]
    known = {anchor.name for anchor in kind.anchors}
    for link in graph.into(node.id):
        if link.input and link.input not in known and link.source in built:
            source = built[link.source].title
            found.append(Problem(node.id, f"{node.title}: {source} is linked to '{link.input}', {UNLINKABLE}"))
    if len(found) > before:
        return None
    if waits:
        _read(kind, node, found)
        return None
    if kept is not None and kept.node == node and kept.links == links:
        return kept
    try:
        return kind.build(node, links)
    except BadOption as error:
        found.append(Problem(node.id, f"{node.title}: {error}", ProblemKind.SETTING))
        return None


def _read(kind: type[Step], node: Node, found: list[Problem]) -> None:
    """Look at the options alone of a node whose feeding nodes cannot be compiled."""
    try:
        kind.read(node)
    except BadOption as error:
        found.append(Problem(node.id, f"{node.title}: {error}", ProblemKind.SETTING))


def _misfits(node: Node, anchor: Anchor, behind: list[Step]) -> list[str]:
    if not behind and not anchor.optional:
        return [f"{node.title}: nothing is linked to '{anchor.name}'"]
    misfits = [step for step in behind if not isinstance(step, anchor.accepts)]
    texts = [f"{node.title}: '{anchor.name}' cannot take {step.title}" for step in misfits]
    texts += [
        f"{node.title}: '{anchor.name}' cannot take the output '{step.node.output}' of {step.title}; choose retriever"
        for step in behind
        if isinstance(step, RetrieverStep) and anchor.accepts is RetrieverStep and step.node.output in PASSED_ON
    ]
    if len(behind) > 1 and not anchor.many:
        texts.append(f"{node.title}: '{anchor.name}' takes one link, not {len(behind)}")
    return texts


def default_model(chat_model: str) -> Step:
    """The model step of RAGSTONE_CHAT_MODEL: `openai:NAME`, `anthropic:NAME` ..., `local:FILE.gguf`, or empty for
    quoted answers.

    Raises `FlowNotRunnable` for any other text.
    """
    inputs: dict[str, Any] = {}
    node_name = "chatLocal"
    if chat_model:
        try:
            node_name, inputs = own_model(chat_model)
        except ValueError as error:
            raise FlowNotRunnable(f"RAGSTONE_CHAT_MODEL: {error}") from None
        if node_name == "chatLocal":
            inputs = {"mode": "gguf", **inputs}
        elif node_name == "chatOllama":
            inputs = {**inputs, "baseUrl": ""}
    kind: type[Step] = resolve(STEPS, node_name, "node")
    node = Node("default model", node_name, "RAGSTONE_CHAT_MODEL", kind.category, inputs, "", "")
    return kind.build(node, {})
