"""The loop that fits a model."""

from collections.abc import AsyncGenerator

from service.agents.base import Ended, Job
from service.agents.text_loop import talk_with
from service.agents.text_protocols import Words
from service.agents.tool_loop import can_call, use_tools
from service.chatflows.run import Run
from service.chatflows.types import StepEvent


def work(job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
    """Does a job: by calls of tools where the model can make them, else by calls in words. See `use_tools`."""
    return use_tools(job, run) if can_call(job.chat) else talk_with(job, run, Words())
