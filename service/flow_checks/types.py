"""What a check of a flow says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.chatflows.types import FlowType, Problem, ProblemKind
from service.errors import BadRequest


class UnreadableExport(BadRequest):
    """The file holds no flow."""

    code = "unreadable_export"


class Verdict(StrEnum):
    """How far a flow, or a node of it, is from running; the worst last."""

    RUNS = "runs"
    CREDENTIAL = "needs_credential"
    SETTING = "needs_setting"
    BROKEN = "broken"
    UNSUPPORTED = "not_supported"


SAID: Mapping[Verdict, str] = {
    Verdict.RUNS: "runs now",
    Verdict.CREDENTIAL: "needs a credential",
    Verdict.SETTING: "needs a setting",
    Verdict.BROKEN: "is linked wrongly",
    Verdict.UNSUPPORTED: "is not supported",
}
"""Each verdict in words."""

VERDICTS: Mapping[ProblemKind, Verdict] = {
    ProblemKind.CREDENTIAL: Verdict.CREDENTIAL,
    ProblemKind.SETTING: Verdict.SETTING,
    ProblemKind.GRAPH: Verdict.BROKEN,
    ProblemKind.UNSUPPORTED: Verdict.UNSUPPORTED,
}
"""What a problem means for its node."""


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that decides."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.RUNS)


class Part(StrEnum):
    """What a node is there for."""

    ANSWER = "answer"
    UPSERT = "upsert"
    """It brings documents into a vector store; answers need nothing of it."""
    NONE = "none"
    """Nothing that ends the flow needs it."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A credential of the workspace that would do."""

    id: UUID
    name: str
    component: str


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One node of a flow. `fitting` are credentials that could be chosen where one is needed."""

    id: str
    name: str
    label: str
    part: Part
    problems: tuple[Problem, ...] = ()
    fitting: tuple[Fitting, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How far it is from running."""
        return worst([VERDICTS[problem.kind] for problem in self.problems])

    @property
    def components(self) -> tuple[str, ...]:
        """The kinds of credential that would do where one is needed."""
        return tuple(dict.fromkeys(name for problem in self.problems for name in problem.components))


@dataclass(frozen=True, slots=True)
class Report:
    """What a flow needs. `problems` are those of the flow as a whole; `remarks` keep nothing from running."""

    type: FlowType
    nodes: tuple[NodeReport, ...]
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How far the flow is from answering. What only upserts need is said of their nodes, not of the flow."""
        own = [VERDICTS[problem.kind] for problem in self.problems]
        return worst([*own, *(node.verdict for node in self.nodes if node.part is not Part.UPSERT)])


@dataclass(frozen=True, slots=True)
class Exported:
    """A flow as a file holds it. `columns` are the other fields of a chatflow, by the names of the API."""

    name: str
    flow_data: str
    type: FlowType
    columns: Mapping[str, Any] = field(default_factory=dict)
