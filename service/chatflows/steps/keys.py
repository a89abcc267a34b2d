"""The credentials of nodes: opened for the host that they are sent to."""

from collections.abc import Mapping
from uuid import UUID

from service.chatflows.run import Backing
from service.chatflows.steps.base import Step
from service.chatflows.types import FlowNotRunnable, Problem, ProblemKind
from service.errors import NotFound


class MissingCredential(FlowNotRunnable):
    """A node needs a credential."""

    code = "missing_credential"


async def revealed(step: Step, workspace: UUID, backing: Backing, host: str | None) -> Mapping[str, str]:
    """The values of the node's credential; none where it chooses none.

    Raises `MissingCredential` for one that does not exist here, `HostNotAllowed`.
    """
    chosen = step.node.credential
    if not chosen:
        return {}
    try:
        return await backing.reveal(workspace, UUID(chosen), host)
    except (NotFound, ValueError):
        raise missing(step, f"the credential '{chosen}' does not exist here") from None


def missing(step: Step, why: str = "no credential is chosen") -> MissingCredential:
    """The refusal, which says what to do."""
    kinds = " or ".join(step.credential)
    text = f"{step.title}: {why}; save one of type {kinds} and choose it in the node"
    return MissingCredential(text, [Problem(step.node.id, text, ProblemKind.CREDENTIAL, tuple(step.credential))])
