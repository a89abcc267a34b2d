"""Checks flows by the compiler that runs them: in a service, with its workspace's credentials, or apart from any."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from service.agentflows.flow import examine, is_agentflow
from service.agentflows.nodes.base import FlowNode
from service.chatflows import engine, texts
from service.chatflows import graph as graphs
from service.chatflows.graph import Graph, Node
from service.chatflows.run import Backing
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import BadOption, Step
from service.chatflows.types import FlowType, Problem, ProblemKind
from service.errors import NotFound, ServiceError
from service.flow_checks.files import kind_of
from service.flow_checks.types import Fitting, NodeReport, Part, Report
from service.flow_upserts.service import upserts_of
from service.nodes import service as nodes
from service.plugins import resolve

if TYPE_CHECKING:
    from service.resources import Resources
    from service.settings import Settings

Credentials = Callable[[Sequence[str]], Awaitable[Sequence[Fitting]]]
"""The credentials of these components that could be chosen."""

NOWHERE = UUID(int=0)
"""Stands for the workspace, and for the flow, where there is none."""

COPIES = "documentStore"
"""The loader that brings the documents of a document store: an upsert knows it, the table of loaders does not."""


async def check_in(resources: "Resources", workspace: UUID, flow_data: str, kind: FlowType | None = None) -> Report:
    """What a flow needs to run in a workspace. Raises `BrokenGraph`."""
    from service.credentials import service as credentials
    from service.predictions.backing import backing

    async def fitting(components: Sequence[str]) -> Sequence[Fitting]:
        found = await credentials.everything(resources.database, workspace, components)
        return [Fitting(item.id, item.name, item.component) for item in found]

    check = _Check(workspace, backing(resources), resources.settings.chat_model, fitting)
    return await check.report(flow_data, kind)


async def check_apart(settings: "Settings", flow_data: str, kind: FlowType | None = None) -> Report:
    """What a flow needs, as far as it can be told without a service: nothing of a workspace is known. Raises
    `BrokenGraph`."""
    from service.egress.client import open_egress
    from service.providers.defaults import defaults_from

    async def reveal(workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
        raise NotFound(f"Credential {credential} not found")

    async def never(*_given: Any, **_options: Any) -> NoReturn:
        raise AssertionError("a check runs nothing")

    def runs_nothing(*_given: Any, **_options: Any) -> NoReturn:
        raise AssertionError("a check runs nothing")

    async def none(components: Sequence[str]) -> Sequence[Fitting]:
        return ()

    async def no_tool(workspace: UUID, tool: UUID) -> NoReturn:
        raise NotFound(f"Tool {tool} not found")

    egress = open_egress(settings)
    try:
        lent = Backing(
            never,
            never,
            reveal,
            defaults_from(settings, egress),
            settings.chat_model,
            script=never if settings.javascript else None,
            stored_tool=no_tool,
            predict=runs_nothing,
        )
        return await _Check(NOWHERE, lent, settings.chat_model, none).report(flow_data, kind)
    finally:
        await egress.close()


class _Check:
    """One check."""

    def __init__(self, workspace: UUID, backing: Backing, chat_model: str, fitting: Credentials) -> None:
        self._workspace = workspace
        self._backing = backing
        self._chat_model = chat_model
        self._fitting = fitting
        self._untold: list[str] = []
        """What the check cannot tell, as remarks."""

    async def report(self, flow_data: str, kind: FlowType | None) -> Report:
        graph = await asyncio.to_thread(graphs.parse, flow_data)
        kind = kind or kind_of(flow_data)
        if is_agentflow(graph, kind):
            problems, idle = await self._of_agentflow(graph)
            parts = {name: Part.NONE if name in idle else Part.ANSWER for name in graph.nodes}
            remarks = [f"{graph.nodes[name].title}: nothing leads to it; it is left out" for name in sorted(idle)]
        else:
            problems = await self._of_chatflow(graph)
            parts, remarks = _parts(graph), _remarks(graph)
            fed = {name: node for name, node in graph.nodes.items() if parts[name] is Part.UPSERT}
            if fed:
                problems += await self._of_upserts(fed)
                for said in upserts_of(NOWHERE, flow_data, graph).values():
                    remarks += [f"To fill it: {text}" for text in said]
            for problem in graphs.problems(graph):
                if problem not in problems and parts.get(problem.node) is Part.UPSERT:
                    problems.append(problem)
                elif problem not in problems:  # of a node that answers all the same
                    remarks.append(f"To fill it: {problem.text}")
        reports = [await self._node(node, parts[node.id], problems) for node in graph.nodes.values()]
        whole = tuple(problem for problem in problems if problem.node not in graph.nodes)
        return Report(kind, tuple(reports), whole, tuple(dict.fromkeys([*remarks, *self._untold])))

    async def _of_chatflow(self, graph: Graph) -> list[Problem]:
        templates = texts.find(graph)
        shared = graph if templates is None else templates.unset(graph)
        examined = await asyncio.to_thread(engine.examine, shared, chat_model=self._chat_model)
        deferred = frozenset() if templates is None else templates.filled
        # what runs fill is opened by them; the document stores that it names are here before
        steps = [step for step in examined.steps if step.node.id not in deferred or step.document_stores]
        lacking = await engine.lacking(steps, self._workspace, self._backing)
        self._name(examined.steps)
        return [*texts.problems(graph), *examined.problems, *lacking]

    async def _of_agentflow(self, graph: Graph) -> tuple[list[Problem], frozenset[str]]:
        """What is wrong with it, and the nodes that nothing leads to."""
        examined = await asyncio.to_thread(examine, graph, chat_model=self._chat_model)
        found = list(examined.problems)
        self._name([*examined.nodes.values(), *examined.steps])
        for node in examined.nodes.values():
            try:
                await node.prepare(self._workspace, self._backing)
            except ServiceError as error:
                found += engine.problems_in(error, node.node, node.title)
            for step in node.steps:
                lacking = await engine.lacking([step], self._workspace, self._backing)
                said = f"{node.title}, {step.node.name}"  # steps of one node differ by what they are
                found += [
                    replace(problem, node=node.node.id, text=said + problem.text.removeprefix(step.title))
                    if problem.text.startswith(step.title)
                    else replace(problem, node=node.node.id)
                    for problem in lacking
                ]
        return found, examined.graph.idle

    def _name(self, parts: Iterable[Step | FlowNode]) -> None:
        """Name the other flows that nobody here knows."""
        if self._backing.flow is None:
            said = "whether the flow {} is there, only the service that runs it can tell"
            self._untold += [f"{part.title}: {said.format(flow)}" for part in parts for flow in part.flows]

    async def _node(self, node: Node, part: Part, problems: Sequence[Problem]) -> NodeReport:
        own = tuple(dict.fromkeys(problem for problem in problems if problem.node == node.id))
        found = NodeReport(node.id, node.name, node.label, part, own)
        if not found.components:
            return found
        fitting = tuple(await self._fitting(found.components))
        return NodeReport(node.id, node.name, node.label, part, own, fitting)

    async def _of_upserts(self, fed: Mapping[str, Node]) -> list[Problem]:
        """What nodes lack that bring documents into vector stores."""
        found: list[Problem] = []
        steps: list[Step] = []
        for node in fed.values():
            if node.name in STEPS:
                _add_embedding(node, steps, found)
            elif nodes.find(node.name) is None and node.name != COPIES:
                found.append(Problem(node.id, f"{node.title}: {engine.instead_of(node)}", ProblemKind.UNSUPPORTED))
        return found + await engine.lacking(steps, self._workspace, self._backing)


def _add_embedding(node: Node, steps: list[Step], found: list[Problem]) -> None:
    """The step of a node that nothing feeds, as embeddings are."""
    kind: type[Step] = resolve(STEPS, node.name, "node")
    if kind.anchors:
        return
    try:
        steps.append(kind.build(node, {}))
    except BadOption as error:
        found.append(Problem(node.id, f"{node.title}: {error}", ProblemKind.SETTING))


def _parts(graph: Graph) -> dict[str, Part]:
    """What each node is there for: caches for nothing, as flows run and are filled without them."""
    whole, graph = graph, engine.without_caches(graph)
    answers = engine.answering(graph)
    roots = engine.ending_nodes(answers) or answers.endings()
    used = {node.id for root in roots for node in answers.needed_by(root.id)}
    feeding = {node.id for name in used for node in graph.needed_by(name)} - used
    return {
        name: Part.ANSWER if name in used else Part.UPSERT if name in feeding else Part.NONE for name in whole.nodes
    }


def _remarks(graph: Graph) -> list[str]:
    return [
        f"{node.title}: answers and vectors are made anew each time; the cache is left out"
        for node in graph.nodes.values()
        if node.category == engine.CACHES
    ]
