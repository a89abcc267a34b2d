"""Questions that the caller may like to ask next (the column `followUpPrompts`, contract 4.1): a model proposes them
when the answer is complete. An answer never suffers from it: what fails, or takes too long, proposes nothing."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.chatflows.graph import Node
from service.chatflows.run import Backing
from service.chatflows.types import Passage, Token, Usage
from service.predictions.text import clean
from service.untrusted import Fence

MOST = 3
LONGEST = 300
"""Characters of a question; a longer one is none."""
SECONDS = 15.0
"""For which an answer waits for its questions."""
READ = 8_000
"""Characters of the answer, from its end, that the model is shown."""

PROVIDERS = {"ollama": "chatOllama"}
"""Names of Flowise's providers that are not those of the nodes which stand for them here."""
OURS = "chatLocal"
"""The provider of flows that name none: the service's own model, else headings of what was found."""

DEFAULT = """Propose the three questions that the user of this conversation is most likely to ask next. Write them in \
the language of the conversation.

{history}"""
FORM = 'Answer with JSON only: {"questions": ["...", "...", "..."]}'

_OBJECT = re.compile(r"[\[{]")
_FENCES = re.compile(r"```[a-zA-Z]*")
_BULLET = re.compile(r"^\s*(?:[-*•]+|\(?\d{1,2}[.):])\s*")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the flow's owner says of the questions. `provider`: a node's name; `prompt`: holds a place `{history}`."""

    provider: str
    prompt: str
    credential: str
    inputs: Mapping[str, Any]
    """Fields of the provider's node."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """Questions, and what it took to find them."""

    questions: tuple[str, ...]
    usage: tuple[Usage, ...] = ()


def wished(column: str | None) -> Wish | None:
    """What the text of the column asks for; None where it is off, or says nothing that can be understood."""
    try:
        config = json.loads(column) if column else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, Mapping) or config.get("status") is not True:
        return None
    provider = config.get("selectedProvider")
    if not isinstance(provider, str) or not provider:
        return Wish(OURS, DEFAULT, "", {})
    found = config.get(provider)
    fields = dict(found) if isinstance(found, Mapping) else {}
    prompt, credential = fields.pop("prompt", None), fields.pop("credentialId", None)
    written = prompt if isinstance(prompt, str) and prompt.strip() else DEFAULT
    inputs = {**fields, "streaming": False}
    return Wish(PROVIDERS.get(provider, provider), written, credential if isinstance(credential, str) else "", inputs)


async def propose(
    wish: Wish, workspace: UUID, backing: Backing, question: str, answer: str, sources: Sequence[Passage]
) -> Proposed:
    """Up to `MOST` questions. Raises `ServiceError` when the model cannot be asked."""
    from service.chatflows.engine import default_model
    from service.chatflows.steps import STEPS
    from service.chatflows.steps.base import ModelStep, Step
    from service.plugins import resolve

    if wish.provider == OURS and not wish.inputs:
        step: Step = default_model(backing.chat_model)
    else:
        node = Node("followUpPrompts", wish.provider, "Follow-up prompts", "", wish.inputs, "", wish.credential)
        kind: type[Step] = resolve(STEPS, wish.provider, "node")
        step = kind.build(node, {})
    if not isinstance(step, ModelStep) or step.quotes:
        return Proposed(of_headings(question, sources))
    try:
        await step.prepare(workspace, backing)
        return await _asked(step, wish, question, answer)
    finally:
        await step.close()


async def _asked(step: Any, wish: Wish, question: str, answer: str) -> Proposed:
    from langchain_core.messages import HumanMessage

    fence = Fence()
    told = fence.conversation((("Human", question), ("Assistant", answer[-READ:])))
    head, place, tail = wish.prompt.partition("{history}")
    prompt = "".join((head, f"{fence.note}\n{told}" if place else f"\n\n{fence.note}\n{told}", tail, "\n\n", FORM))
    texts: list[str] = []
    usage: list[Usage] = []
    async with aclosing(step.write([HumanMessage(prompt)], whole=True)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage.append(piece)
            elif isinstance(piece, Token):
                texts.append(piece.text)
    return Proposed(read("".join(texts)), tuple(usage))


def read(text: str) -> tuple[str, ...]:
    """The questions in a model's words: of the JSON that it was asked for, of a list, else of lines that end with a
    question mark."""
    text = _FENCES.sub("", clean(text))
    for found in list(_OBJECT.finditer(text))[:20]:
        try:
            value, _ = json.JSONDecoder().raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        listed = next(iter(value.values()), None) if isinstance(value, Mapping) and len(value) == 1 else value
        if isinstance(listed, Mapping):
            listed = listed.get("questions") or list(listed.values())
        if questions := _kept(listed if isinstance(listed, list) else ()):
            return questions
    lines = [_BULLET.sub("", line) for line in text.splitlines()]
    return _kept(line for line in lines if line.rstrip(' "*').endswith(("?", "？", "؟")))


def _kept(items: Iterable[Any]) -> tuple[str, ...]:
    """Those that are questions, each once."""
    found: dict[str, None] = {}
    for item in items:
        text = item.get("question") if isinstance(item, Mapping) else item
        line = " ".join(text.split()).strip(' "*') if isinstance(text, str) else ""
        if 1 < len(line) <= LONGEST:
            found.setdefault(line)
    return tuple(found)[:MOST]


def of_headings(question: str, sources: Sequence[Passage]) -> tuple[str, ...]:
    """Questions about the headings of what was found, where no model can write any."""
    from service.answers.words import is_german

    form = "Was steht unter „{}“?" if is_german(question) else "What does “{}” say?"
    headings = (str(item.metadata.get("heading") or "").rpartition(">")[2].strip() for item in sources)
    return _kept(form.format(heading) for heading in headings if heading)
