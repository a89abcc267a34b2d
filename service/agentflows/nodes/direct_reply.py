"""Says a text."""

from collections.abc import AsyncGenerator

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Moment
from service.agentflows.templates import Template
from service.agentflows.types import Done
from service.chatflows.types import StepEvent


class DirectReply(FlowNode):
    """Says a text to the user, without a model."""

    label = "Direct Reply"

    def read(self, maker: Maker) -> None:
        """The text."""
        self._message = Template.parse(self.node.inputs.get("directReplyMessage"))

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The text with its values; the engine says it."""
        text = self._message.text(moment)
        yield Done(text=text, output={"content": text})
