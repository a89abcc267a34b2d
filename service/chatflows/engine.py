"""Compiles graphs into typed steps, once per version of a flow, and runs them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from uuid import UUID

from service.chatflows import graph as graphs
from service.chatflows.graph import ENDINGS, Graph, Link, Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps import ELSEWHERE, RETRIEVERS_ELSEWHERE, STEPS
from service.chatflows.steps.base import Anchor, BadOption, EndingStep, ModelStep, RetrieverStep, Step
from service.chatflows.types import FlowNotRunnable, Problem, StepEvent
from service.plugins import resolve

PASSED_ON = frozenset({"document", "text"})
"""Outputs of retrievers that are what was found, and no retriever."""

UNSUPPORTED = "the node '{name}' is not supported. Supported: {known}"


class CompiledFlow:
    """A flow ready to run, shared by all of its predictions."""

    def __init__(self, ending: EndingStep, steps: tuple[Step, ...], lender: "CompiledFlow | None" = None) -> None:
        """`steps` hold every step that the ending needs, each after those that feed it. Those that are the `lender`'s
        too are prepared and closed by it alone; it outlives this flow."""
        self.ending = ending
        self.steps = steps
        lent = {id(step) for step in lender.steps} if lender is not None else set()
        self.own = tuple(step for step in steps if id(step) not in lent)
        self._prepared: asyncio.Task[None] | None = None

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
    def credentials(self) -> frozenset[UUID]:
        """The credentials that the steps name: the flow is compiled anew when one of them changes."""
        return frozenset(found for step in self.steps if (found := _uuid(step.node.credential)) is not None)

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open what the runs share, once; a failure is not kept. Raises a `ServiceError` that names the node."""
        if self._prepared is None or (self._prepared.done() and _failed(self._prepared)):
            self._prepared = asyncio.ensure_future(self._prepare(workspace, backing))
        if not self._prepared.done():
            await asyncio.shield(self._prepared)
        self._prepared.result()

    async def _prepare(self, workspace: UUID, backing: Backing) -> None:
        await asyncio.gather(*(step.prepare(workspace, backing) for step in self.own))

    async def run(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer's events, what retrievers' models took as soon as it is known. `prepare` has succeeded. Closing it
        stops every call that it made."""
        async with aclosing(self.ending.answer(run)) as events:
            async for event in events:
                while run.spent:
                    yield run.spent.pop(0)
                yield event
        while run.spent:
            yield run.spent.pop(0)

    async def close(self) -> None:
        """Give back what was opened. `prepare` would open it again."""
        self._prepared = None
        for step in self.own:
            await step.close()


def _failed(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def compile_flow(graph: Graph, *, chat_model: str = "", lender: CompiledFlow | None = None) -> CompiledFlow:
    """The flow of a graph. `chat_model` (RAGSTONE_CHAT_MODEL) answers where a chain is linked to no model. Steps of the
    `lender` whose nodes, and all that feeds them, are the same here are taken from it.

    Raises `FlowNotRunnable`, which names every node that stands in the way and why.
    """
    found = graphs.problems(graph)
    graph = graph.without([link for link in graph.links if _only_for_upserts(graph, link)])
    ending, more = _ending(graph)
    found += more
    if ending is None or any(found):
        raise _not_runnable(found)
    built: dict[str, Step] = {}
    order: list[Step] = []
    kept = {step.node.id: step for step in lender.steps} if lender is not None else {}
    for node in graph.needed_by(ending.id):
        step = _build(graph, node, built, found, order, chat_model, kept.get(node.id))
        if step is not None:
            built[node.id] = step
            order.append(step)
    last = built.get(ending.id)
    if found or not isinstance(last, EndingStep):
        raise _not_runnable(found)
    return CompiledFlow(last, tuple(order), lender)


def unsupported(graph: Graph) -> list[Node]:
    """The nodes that no step stands for."""
    return [node for node in graph.nodes.values() if node.name not in STEPS]


def instead_of(node: Node) -> str:
    """Why a node cannot be run here, and what to use instead."""
    if node.name in ELSEWHERE:
        return f"the vector store '{node.name}' is not available here. {ELSEWHERE[node.name]}"
    if node.name in RETRIEVERS_ELSEWHERE:
        return f"the retriever '{node.name}' is not available here. {RETRIEVERS_ELSEWHERE[node.name]}"
    known = ", ".join([*sorted(STEPS), *sorted(graphs.STICKY_NOTES)])
    return UNSUPPORTED.format(name=node.name, known=known)


def _not_runnable(found: list[Problem]) -> FlowNotRunnable:
    return FlowNotRunnable("This flow cannot run. " + "; ".join(problem.text for problem in found))


def _unsupported(node: Node) -> Problem:
    return Problem(node.id, f"{node.title}: {instead_of(node)}")


def _only_for_upserts(graph: Graph, link: Link) -> bool:
    """Whether a link brings documents into a vector store: answers need nothing of it."""
    target = graph.nodes.get(link.target)
    if target is None or target.name not in STEPS:
        return False
    kind: type[Step] = resolve(STEPS, target.name, "node")
    return link.input in kind.upserts


def _category(node: Node) -> str:
    if node.category or node.name not in STEPS:
        return node.category
    step: type[Step] = resolve(STEPS, node.name, "node")
    return step.category


def _ending(graph: Graph) -> tuple[Node | None, list[Problem]]:
    """The one node that answers, else what is wrong."""
    endings = [node for node in graph.endings() if _category(node) in ENDINGS]
    if len(endings) == 1:
        unknown = [node for node in graph.needed_by(endings[0].id) if node.name not in STEPS]
        return endings[0], [_unsupported(node) for node in unknown]
    found = [_unsupported(node) for node in unsupported(graph)]
    if endings:
        titles = ", ".join(node.title for node in endings)
        return None, [*found, Problem("", f"exactly one chain, agent or engine must end the flow; these do: {titles}")]
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
    for anchor in kind.anchors:
        behind = [
            built[link.source] for link in graph.into(node.id) if link.input == anchor.name and link.source in built
        ]
        if not behind and anchor.accepts is ModelStep:
            behind = [*kept.links[anchor.name]] if kept is not None else [default_model(chat_model)]
            order.extend(behind)
        links[anchor.name] = tuple(behind)
        found += [Problem(node.id, text) for text in _misfits(node, anchor, behind)]
    known = {anchor.name for anchor in kind.anchors}
    for link in graph.into(node.id):
        if link.input and link.input not in known and link.source in graph.nodes:
            source = graph.nodes[link.source].title
            found.append(
                Problem(node.id, f"{node.title}: {source} is linked to '{link.input}', which it does not have")
            )
    if len(found) > before:
        return None
    if kept is not None and kept.node == node and kept.links == links:
        return kept
    try:
        return kind.build(node, links)
    except BadOption as error:
        found.append(Problem(node.id, f"{node.title}: {error}"))
        return None


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
    """The model step of RAGSTONE_CHAT_MODEL: `openai:NAME`, `local:FILE.gguf`, or empty for quoted answers.

    Raises `FlowNotRunnable` for any other text.
    """
    provider, _, name = chat_model.partition(":")
    if provider == "openai" and name:
        node_name, inputs = "chatOpenAI", {"modelName": name}
    elif provider == "local" and name:
        node_name, inputs = "chatLocal", {"mode": "gguf", "modelPath": name}
    elif not chat_model:
        node_name, inputs = "chatLocal", {}
    else:
        raise FlowNotRunnable(f"RAGSTONE_CHAT_MODEL: '{chat_model}' is neither openai:NAME nor local:FILE.gguf")
    kind: type[Step] = resolve(STEPS, node_name, "node")
    node = Node("default model", node_name, "RAGSTONE_CHAT_MODEL", kind.category, inputs, "", "")
    return kind.build(node, {})
