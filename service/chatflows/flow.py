"""What can be run: a compiled chatflow or agentflow, as predictions see it."""

from collections.abc import AsyncGenerator
from typing import Protocol
from uuid import UUID

from service.chatflows.run import Backing, Run
from service.chatflows.types import StepEvent


class Flow(Protocol):
    """A version of a flow, ready to run and shared by all of its predictions: nothing of a single run is kept."""

    @property
    def session(self) -> str:
        """The fixed session id of the memory node; empty without one."""
        ...

    @property
    def memory_label(self) -> str | None:
        """What the answers call `memoryType`; None without a memory node."""
        ...

    @property
    def named(self) -> frozenset[UUID]:
        """The ids that the steps name, of credentials, document stores, other flows and tools: the flow is compiled
        anew when such a credential changes, or one of these comes or goes."""
        ...

    @property
    def searched(self) -> UUID | None:
        """The document store that a question without earlier turns is looked up in first, word for word; None where
        something else comes first, or may."""
        ...

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open what the runs share, once; a failure is not kept. Raises a `ServiceError` that names the node."""
        ...

    def run(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer's events. `prepare` has succeeded. Closing it stops every call that it made."""
        ...

    async def close(self) -> None:
        """Give back what was opened. `prepare` would open it again."""
        ...
