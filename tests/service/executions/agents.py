"""An agentflow that does what its question says, in place of a compiled one: all around it is real."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

from service.chatflows.run import Backing, Run
from service.chatflows.types import (
    ActionWanted,
    Executed,
    FlowStatus,
    NodesExecuted,
    NodeStatus,
    Paused,
    RunStatus,
    StepEvent,
    Token,
    Usage,
)
from service.errors import UpstreamFailed


def graph(**inputs: Any) -> str:
    """The flowData of an agentflow whose start node has these fields."""
    start = {
        "id": "startAgentflow_0",
        "data": {
            "id": "startAgentflow_0",
            "name": "startAgentflow",
            "label": "Start",
            "category": "Agent Flows",
            "inputs": {"startInputType": "chatInput", **inputs},
        },
    }
    return json.dumps({"nodes": [start], "edges": []})


class ScriptedFlow:
    """Answers with what it was given. `ask` in a question: it waits for a person; `fail`: it fails; `hang`: it never
    ends by itself. `runs` holds every run that it was given."""

    session = ""
    memory_label = None
    searched = None
    named: frozenset[UUID] = frozenset()

    def __init__(self, runs: list[Run]) -> None:
        """Shared by all versions."""
        self.runs = runs

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def run(self, run: Run) -> AsyncGenerator[StepEvent, None]:
        """The answer's events."""
        self.runs.append(run)
        done = list(run.paused.executed) if run.paused else []
        output = {"question": run.question, "form": run.form, "webhook": run.webhook}
        if run.paused is None:
            yield FlowStatus(RunStatus.INPROGRESS)
            done.append(_node("startAgentflow_0", {"id": "startAgentflow_0", "output": output, "state": {"n": 1}}))
            yield NodesExecuted(tuple(done))
        if "hang" in run.question:
            await asyncio.Event().wait()
        yield Usage("stub", 2, 3)
        feedback = run.human.feedback if run.human else ""
        if "fail" in (run.question, feedback):
            yield NodeStatus("human_0", "Human", RunStatus.ERROR, "broken")
            yield FlowStatus(RunStatus.ERROR)
            raise UpstreamFailed("The model is away.")
        if "ask" in run.question and (run.human is None or feedback == "again"):
            done.append(_node("human_0", {"id": "human_0", "state": {"n": 2}}, RunStatus.STOPPED))
            yield Token("Shall I?")
            yield NodesExecuted(tuple(done))
            yield FlowStatus(RunStatus.STOPPED)
            action = {
                "id": f"action-{len(done)}",
                "mapping": {"approve": "Proceed", "reject": "Reject"},
                "elements": [{"type": "agentflowv2-approve-button", "label": "Proceed"}],
                "data": {"nodeId": "human_0", "nodeLabel": "Human", "input": {}},
            }
            yield ActionWanted(action, Paused(tuple(done), {"n": 2}, {"at": "human_0"}))
            return
        said = f"{run.human.decision}: {feedback}" if run.human else f"You said: {run.question}"
        done.append(_node("reply_0", {"id": "reply_0", "output": {"content": said}, "state": {"n": 3}}))
        yield Token(said)
        yield NodesExecuted(tuple(done))
        yield FlowStatus(RunStatus.FINISHED)


def _node(name: str, data: dict[str, Any], status: RunStatus = RunStatus.FINISHED) -> Executed:
    return Executed(name, name, data, (), status)
