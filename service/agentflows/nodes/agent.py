"""A model with tools and knowledge (service/agents)."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from service.agentflows.nodes.base import FlowNode, Maker, is_yes
from service.agentflows.nodes.conversation import GO_ON, Conversation, Prompt
from service.agentflows.nodes.filling import LateTool
from service.agentflows.nodes.llm import usage_shown
from service.agentflows.nodes.structured import Structure, structured
from service.agentflows.state import Moment
from service.agentflows.templates import changes, plain
from service.agentflows.types import Done, Message, Waits
from service.agents.base import Call, Ended, Job, Resumed, limits
from service.agents.loops import work
from service.chatflows.run import Run
from service.chatflows.steps.base import ModelStep, RetrieverStep
from service.chatflows.steps.retriever_tool import searching
from service.chatflows.steps.tool import Tool, ToolStep, tool_name
from service.chatflows.steps.vector_store import VectorStore
from service.chatflows.types import ProblemKind, StepEvent, Token, ToolUse, Usage

BUILT_IN = {
    "agentToolsBuiltInOpenAI": "chatOpenAI",
    "agentToolsBuiltInGemini": "chatGoogleGenerativeAI",
    "agentToolsBuiltInAnthropic": "chatAnthropic",
}
"""Fields for tools that run at a provider, with the model that the editor offers each for. What was chosen before
another model was stays in the export and has no effect."""

AT_PROVIDER = (
    "{field}: tools that run at the provider are not supported ({chosen}). Clear it, and choose one of tools in its"
    " place: googleCustomSearch, braveSearchAPI or tavilyAPI to search the web, webScraperTool to read pages,"
    " calculator or a customTool to compute"
)
OWN_STORE = (
    "the vectors of '{name}' are in a store elsewhere, which an agentflow cannot fill here. Load its documents into a"
    " document store, and choose that as knowledge"
)
AGREE = "To go on, I would like to use {calls}. Do you agree?"


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool step of the node."""

    step: ToolStep | LateTool
    asks: bool
    """Whether a person must agree to its use."""

    async def tools(self, moment: Moment, run: Run, stack: AsyncExitStack) -> list[Tool]:
        """Its tools; what was opened for them the stack closes. Raises `ServiceError`."""
        step = await self.step.opened(moment, stack) if isinstance(self.step, LateTool) else self.step
        found = await step.tools(run)
        return [replace(tool, requires_human=True) if self.asks else tool for tool in found]


class Agent(FlowNode):
    """A model that uses tools and looks things up until it can answer."""

    label = "Agent"

    def read(self, maker: Maker) -> None:
        """The model, what it is told, and what it may use."""
        self._model = maker.model("agentModel")
        self._talk = Conversation(self, "agent")
        self._structure = Structure.read(self.rows("agentStructuredOutput"), "agentStructuredOutput")
        self._limits = limits(self.number("agentMaxIterations", 0, least=0, most=1_000_000) or None)
        self._offered = tuple(self._tools(maker))
        self._knowledge = tuple(self._searches(maker))
        model = self.node.inputs.get("agentModel")
        for name, offered_for in BUILT_IN.items():
            chosen = _names(self.node.inputs.get(name)) if model in (offered_for, None, "") else []
            if chosen:
                text = AT_PROVIDER.format(field=name, chosen=", ".join(chosen))
                maker.problem(text, ProblemKind.UNSUPPORTED)
        self.updates = self.state("agentUpdateState")

    def _tools(self, maker: Maker) -> list[Offered]:
        found = []
        for row in self.rows("agentTools"):
            name = str(row.get("agentSelectedTool") or "")
            if not name:
                continue
            asks = is_yes(row.get("agentSelectedToolRequiresHumanInput"))
            if asks and self.node.parent:
                maker.problem(f"{name}: nobody can be asked within an iteration")
            step = maker.tool(name, row.get("agentSelectedToolConfig"))
            if step is not None:
                found.append(Offered(step, asks))
        return found

    def _searches(self, maker: Maker) -> list[Tool]:
        found = []
        for row in self.rows("agentKnowledgeDocumentStores"):
            store = maker.document_store(row.get("documentStore"))
            named = str(row.get("documentStore") or "").partition(":")[2]
            if store is not None:
                found.append(_search(store, named, row.get("docStoreDescription"), row))
        for row in self.rows("agentKnowledgeVSEmbeddings"):
            name = str(row.get("vectorStore") or "")
            if not name:
                continue
            store = maker.retriever(name, row.get("vectorStoreConfig"))
            if isinstance(store, VectorStore):
                maker.problem(OWN_STORE.format(name=name), ProblemKind.UNSUPPORTED)
            elif store is not None:
                found.append(_search(store, str(row.get("knowledgeName") or ""), row.get("knowledgeDescription"), row))
        return found

    @property
    def model(self) -> ModelStep:
        """The model; flows without one are never run."""
        assert self._model is not None
        return self._model

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        """What the agent says and does, and its answer; or what it wants to do that a person must agree to."""
        async with AsyncExitStack() as stack, aclosing(self._worked(moment, stack)) as events:
            async for event in events:
                yield event

    async def _worked(self, moment: Moment, stack: AsyncExitStack) -> AsyncGenerator[StepEvent | Done | Waits, None]:
        # who reads only the whole of it need not have it in pieces
        silent = not moment.answers or self._structure is not None
        run = replace(moment.run, whole=True) if silent else moment.run
        prompt = await self._prompt(moment)
        tools = [tool for offered in self._offered for tool in await offered.tools(moment, run, stack)]
        resumed = None
        if moment.human is not None:
            resumed = Resumed(moment.kept["state"], moment.human.decision, moment.human.feedback)
        offered = (*tools, *self._knowledge)
        job = Job(self.model.chat, prompt.messages, offered, self._limits, resumed, self.model.binding)
        ended: Ended | None = None
        events = work(job, run)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Ended):
                    ended = event
                elif not (isinstance(event, Token) and silent):
                    yield event
        assert ended is not None, "the last thing that a loop says"
        if ended.waits is not None:
            if moment.answers:
                yield Token(f"\n\n{_wish(ended.waits.calls)}")
            yield self._waits(prompt, ended, ended.waits.calls, ended.waits.state)
            return
        value: dict[str, Any] | None = None
        used = list(ended.usage)
        if self._structure is not None:
            found, wrong = self._structure.fitted(ended.answer)
            value = None if wrong else found
        if self._structure is not None and value is None:
            talk = _answered(moment, prompt, ended, self._structure)
            pieces = structured(self.title, self.model, talk, self._structure, run)
            async with aclosing(pieces):
                async for piece in pieces:
                    if isinstance(piece, dict):
                        value = piece
                        continue
                    used += [piece] if isinstance(piece, Usage) else []
                    yield piece
        yield self._done(moment, prompt, ended, value, used)

    async def _prompt(self, moment: Moment) -> Prompt:
        if moment.human is None:
            more = self._structure.instruction if self._structure is not None and not self._offered else ""
            return await self._talk.prompt(moment, self.model, more)
        kept = moment.kept
        return Prompt(
            (),
            (),
            tuple(Message.read(item) for item in kept.get("opening", ())),
            tuple(Message.read(item) for item in kept.get("said", ())),
        )

    def _waits(self, prompt: Prompt, ended: Ended, calls: Sequence[Call], state: Mapping[str, Any]) -> Waits:
        asked = [{"tool": call.name, "toolInput": dict(call.input)} for call in calls]
        text = f"{ended.text}\n\n{_wish(calls)}".strip()
        return Waits(
            text=text,
            output={"content": text, "isWaitingForHumanInput": True, "calledTools": asked, **_made(ended)},
            input={"messages": [message.shown() for message in prompt.told], "toolCalls": asked},
            keep={
                "state": dict(state),
                "opening": [message.shown() for message in prompt.opening],
                "said": [message.shown() for message in prompt.said],
            },
        )

    def _done(
        self,
        moment: Moment,
        prompt: Prompt,
        ended: Ended,
        value: Mapping[str, Any] | None,
        used: Sequence[Usage],
    ) -> Done:
        text = ended.answer if value is None else json.dumps(value, ensure_ascii=False, indent=2)
        return Done(
            text=text,
            output={**(value or {}), "content": text, **_made(ended), **usage_shown(used)},
            input={"agentModel": self.model.node.name, "messages": [message.shown() for message in prompt.told]},
            changes=changes(self.updates, moment, text if value is None else value),
            opening=prompt.opening,
            said=(*prompt.said, self._talk.answer(text)),
        )


def _answered(moment: Moment, prompt: Prompt, ended: Ended, structure: Structure) -> list[BaseMessage]:
    """What was asked and answered, and the user's wish to have that in the structure."""
    asked = prompt.messages or (HumanMessage(moment.asked.strip() or GO_ON),)
    return [*asked, AIMessage(ended.answer or "{}"), HumanMessage(structure.instruction)]


def _search(store: RetrieverStep, named: str, about: Any, row: Mapping[str, Any]) -> Tool:
    """The tool that looks things up in a store of knowledge."""
    shows = is_yes(row.get("returnSourceDocuments"))
    description = (
        plain(about) if isinstance(about, str) and about.strip() else f"Finds passages in {named or 'documents'}."
    )
    return searching(tool_name(named, "search_documents").lower(), description, store, shows=shows)


def _names(value: Any) -> list[str]:
    """The names in a field that is a list, or its JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            return [value]
    return [str(item) for item in value if item] if isinstance(value, list) else []


def _wish(calls: Sequence[Call]) -> str:
    shown = "; ".join(
        f"`{call.name}` with `{json.dumps(dict(call.input), ensure_ascii=False)[:2000]}`" for call in calls
    )
    return AGREE.format(calls=shown)


def _made(ended: Ended) -> dict[str, Any]:
    """What came of the tools, as the node's output shows it."""
    made: dict[str, Any] = {}
    if ended.uses:
        made["usedTools"] = [used_tool(use) for use in ended.uses]
    if ended.sources:
        made["sourceDocuments"] = [
            {"pageContent": passage.text, "metadata": {**passage.metadata, "chunkId": passage.id}}
            for passage in ended.sources
        ]
    if ended.artifacts:
        made["artifacts"] = [dict(item) for item in ended.artifacts]
    return made


def used_tool(use: ToolUse) -> dict[str, Any]:
    """A use of a tool, as outputs of nodes show it."""
    shown = {"tool": use.tool, "toolInput": dict(use.input), "toolOutput": use.output}
    return shown if use.error is None else {**shown, "error": use.error}
