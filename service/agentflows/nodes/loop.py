"""Leads back."""

from collections.abc import AsyncGenerator

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Moment
from service.agentflows.templates import Template, changes
from service.agentflows.types import Done
from service.chatflows.types import StepEvent

DEFAULT_ROUNDS = 5
ROUNDS_OF_NONE = 10
"""What 0 means: the node does not say how often."""
MAX_ROUNDS = 100
"""How often what stands in a loop may run, whatever the node says."""


class Loop(FlowNode):
    """Leads back to a node, as often as it may; then it says so."""

    label = "Loop"

    def read(self, maker: Maker) -> None:
        """How often, and what is said then."""
        given = self.number("maxLoopCount", DEFAULT_ROUNDS, least=0, most=1_000_000)
        self._most = min(given or ROUNDS_OF_NONE, MAX_ROUNDS)
        self._fallback = Template.parse(self.node.inputs.get("fallbackMessage"))
        self._target = maker.level.loops.get(self.node.id, "")
        self.updates = self.state("loopUpdateState")

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The wish to go back; whether it is granted, the engine knows."""
        target = str(self.node.inputs.get("loopBackToNode") or "")
        yield Done(
            text=self._fallback.text(moment),
            output={
                "nodeID": target.partition("-")[0],
                "maxLoopCount": self._most,
                "content": f"Loop back to {target}",
            },
            input={"loopBackToNode": target, "maxLoopCount": self._most},
            changes=changes(self.updates, moment, moment.asked),
            loop=self._most,
        )
