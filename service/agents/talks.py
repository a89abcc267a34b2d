"""What was said in a job so far: the same for every loop, and all that one needs to go on later."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage, messages_from_dict, messages_to_dict

from service.agents.base import Call, Ended, Job, Waiting
from service.agents.calls import Desk
from service.chatflows.run import Run
from service.chatflows.types import Artifacts, Passage, Sources, StepEvent, Token, ToolsUsed, ToolUse, Usage
from service.untrusted import Fence

BREAK = "\n\n"
"""Between what a model says before it calls tools, and what it says after that."""


@dataclass(slots=True)
class Talk:
    """What was said, and the desk where calls are made."""

    desk: Desk
    messages: list[BaseMessage]
    before: int
    """So many of the messages are the job's own."""
    rounds: int = 0
    texts: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)

    def say(self, text: str) -> list[Token]:
        """The tokens that say the text: what follows tools stands apart from what was said before them."""
        apart = [BREAK] if self.texts and not self.last else []
        self.texts += [*apart, text]
        self.last.append(text)
        return [Token(piece) for piece in (*apart, text)]

    def outcome(self) -> list[StepEvent]:
        """What tools brought besides what the model made of it."""
        events: list[StepEvent] = []
        if self.desk.sources:
            events.append(Sources(self.desk.sources))
        if self.desk.uses:
            events.append(ToolsUsed(tuple(self.desk.uses)))
        if self.desk.artifacts:
            events.append(Artifacts(tuple(self.desk.artifacts)))
        return events

    def waiting(self, calls: Sequence[Call]) -> Waiting:
        """Stops before these calls; `begun` goes on."""
        state = {
            "messages": messages_to_dict(self.messages),
            "before": self.before,
            "rounds": self.rounds,
            "fence": self.desk.fence.code,
            "calls": [{**asdict(call), "input": dict(call.input)} for call in calls],
            "uses": [asdict(use) for use in self.desk.uses],
            "sources": [asdict(passage) for passage in self.desk.sources],
            "artifacts": [dict(item) for item in self.desk.artifacts],
        }
        return Waiting(tuple(calls), state)

    def ended(self, *, exhausted: bool = False, waits: Waiting | None = None) -> Ended:
        """What became of the job."""
        return Ended(
            text="".join(self.texts),
            answer="".join(self.last),
            messages=tuple(self.messages[self.before :]),
            uses=tuple(self.desk.uses),
            sources=self.desk.sources,
            artifacts=tuple(self.desk.artifacts),
            usage=tuple(self.usage),
            exhausted=exhausted,
            waits=waits,
        )


def begun(job: Job, run: Run, instructions: str = "") -> Talk:
    """The talk of a job, from its beginning or from where it waited. `instructions` stand in the system message, with
    the note of what is data (service/untrusted.py)."""
    state = job.resumed.state if job.resumed is not None else None
    desk = Desk(job.tools, run, job.limits, Fence() if state is None else Fence(str(state["fence"])))
    if state is None:
        told = [part for part in (instructions, desk.fence.note if desk.tools else "") if part]
        messages = instructed(job.messages, "\n\n".join(told)) if told else [*job.messages]
        return Talk(desk, messages, len(messages))
    desk.uses += [_use(item) for item in state["uses"]]
    desk.take(Passage(**item) for item in state["sources"])
    desk.artifacts += state["artifacts"]
    return Talk(desk, messages_from_dict(state["messages"]), int(state["before"]), int(state["rounds"]))


def waited(job: Job) -> list[Call]:
    """The calls that a job goes on with."""
    return [] if job.resumed is None else [Call(**call) for call in job.resumed.state["calls"]]


def _use(item: Mapping[str, Any]) -> ToolUse:
    return ToolUse(**{**item, "sources": tuple(Passage(**source) for source in item["sources"])})


def instructed(messages: Sequence[BaseMessage], text: str) -> list[BaseMessage]:
    """The messages with `text` at the end of the system message, which is made where there is none."""
    if not messages or not isinstance(messages[0], SystemMessage):
        return [SystemMessage(text), *messages]
    said = messages[0].content
    joined: Any = f"{said}\n\n{text}" if isinstance(said, str) else [*said, {"type": "text", "text": text}]
    return [messages[0].model_copy(update={"content": joined}), *messages[1:]]
