"""Agents that are led to their tools in words, as they are with models that cannot call tools."""

from collections.abc import AsyncGenerator
from typing import ClassVar

from service.agents.base import Ended, Job
from service.chatflows.run import Run
from service.chatflows.steps.agents import AgentStep
from service.chatflows.types import StepEvent


class ConversationalAgent(AgentStep):
    """Talks, and uses tools where they help."""

    label = "Conversational Agent"
    version: ClassVar[float] = 3

    def work(self, job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
        """Actions as JSON; models that can call tools are offered them as such."""
        from service.agents.text_loop import talk_with
        from service.agents.text_protocols import Words

        return talk_with(job, run, Words())


class ReactAgentChat(AgentStep):
    """Thinks, acts and observes until it knows the answer."""

    label = "ReAct Agent for Chat Models"
    version: ClassVar[float] = 4

    def work(self, job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
        """Thoughts and actions in words."""
        from service.agents.text_loop import talk_with
        from service.agents.text_protocols import React

        return talk_with(job, run, React())


class ReactAgentLlm(ReactAgentChat):
    """Thinks, acts and observes until it knows the answer; of the nodes for language models."""

    label = "ReAct Agent for LLMs"
    version = 2


class XmlAgent(AgentStep):
    """Names tools between tags until it knows the answer."""

    label = "XML Agent"
    version: ClassVar[float] = 2

    def work(self, job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
        """Tools between tags."""
        from service.agents.text_loop import talk_with
        from service.agents.text_protocols import Xml

        return talk_with(job, run, Xml())
