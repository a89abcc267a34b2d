"""The JSON shapes of checks: a report of ours, and Flowise's list of issues."""

from uuid import UUID

from pydantic import Field

from service.chatflows.types import FlowType, Problem
from service.flow_checks import types
from service.flow_checks.types import SAID, Part, Report, Verdict
from service.http.wire import Body, Wire

EXAMPLE = '{"nodes":[],"edges":[]}'


class CheckBody(Body):
    """A flow to check: `flowData`, as chatflows hold it."""

    flow_data: str = Field(description="The graph, as JSON text", examples=[EXAMPLE])
    type: str | None = Field(None, description="As of a chatflow; absent: told by the nodes", examples=["CHATFLOW"])


class FoundProblem(Wire):
    """Something that keeps a flow from running."""

    kind: str = Field(description="graph, unsupported, setting, credential", examples=["credential"])
    text: str = Field(examples=["ChatOpenAI (chatOpenAI_0): no credential is chosen"])
    credentials: list[str] = Field(description="Kinds of credential that would do", examples=[["openAIApi"]])


class FittingCredential(Wire):
    """A credential of the workspace that would do."""

    id: UUID
    name: str = Field(examples=["OpenAI, team account"])
    credential_name: str = Field(examples=["openAIApi"])


class CheckedNode(Wire):
    """A node of the flow."""

    id: str = Field(examples=["chatOpenAI_0"])
    name: str = Field(examples=["chatOpenAI"])
    label: str = Field(examples=["ChatOpenAI"])
    part: Part = Field(description="answer; upsert: it only brings documents; none: nothing needs it")
    verdict: Verdict
    problems: list[FoundProblem]
    fitting: list[FittingCredential] = Field(description="Those of the workspace that could be chosen")


class CheckReport(Wire):
    """What a flow needs before it can run."""

    type: FlowType
    verdict: Verdict
    message: str = Field(description="The verdict in words", examples=["needs a credential"])
    problems: list[FoundProblem] = Field(description="Those of the flow as a whole")
    nodes: list[CheckedNode]
    remarks: list[str] = Field(description="What keeps nothing from running", examples=[["faiss_0: basePath…"]])


class NodeIssues(Wire):
    """What is wrong with a node, as Flowise lists it."""

    id: str = Field(examples=["chatOpenAI_0"])
    label: str = Field(examples=["ChatOpenAI"])
    name: str = Field(examples=["chatOpenAI"])
    issues: list[str] = Field(examples=[["no credential is chosen"]])


def report(found: Report) -> CheckReport:
    """A report on the wire."""
    return CheckReport(
        type=found.type,
        verdict=found.verdict,
        message=SAID[found.verdict],
        problems=_problems(found.problems),
        nodes=[_node(item) for item in found.nodes],
        remarks=list(found.remarks),
    )


def issues(found: Report, flow_id: UUID, name: str) -> list[NodeIssues]:
    """The nodes with something wrong, then the flow itself if something is wrong with it as a whole."""
    listed = [
        NodeIssues(id=item.id, label=item.label, name=item.name, issues=[problem.text for problem in item.problems])
        for item in found.nodes
        if item.problems
    ]
    if found.problems:
        own = [problem.text for problem in found.problems]
        listed.append(NodeIssues(id=str(flow_id), label=name, name="chatflow", issues=own))
    return listed


def _node(item: types.NodeReport) -> CheckedNode:
    return CheckedNode(
        id=item.id,
        name=item.name,
        label=item.label,
        part=item.part,
        verdict=item.verdict,
        problems=_problems(item.problems),
        fitting=[
            FittingCredential(id=each.id, name=each.name, credential_name=each.component) for each in item.fitting
        ],
    )


def _problems(found: tuple[Problem, ...]) -> list[FoundProblem]:
    return [
        FoundProblem(kind=problem.kind.value, text=problem.text, credentials=list(problem.components))
        for problem in found
    ]
