"""What a document store holds, in a sentence or two for an agent that may search it, written by a chat model."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Quoted
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import ModelStep
from service.chatflows.types import Passage
from service.credentials.service import reveal
from service.document_stores import service as document_stores
from service.errors import MissingPart, Unprocessable
from service.plugins import resolve
from service.providers.defaults import defaults_from
from service.resources import Resources
from service.untrusted import Fence

LOADERS_READ = 12
"""Loaders of which the model is shown the beginning."""

CHARACTERS = 1200
"""Of each loader's beginning."""

LONGEST = 2000
"""Characters of a description."""

INSTRUCTION = (
    "You describe a collection of documents to an assistant that can search it. From the excerpts, say in one or two"
    " sentences what the collection is about and which questions it can answer. Write in the language of the excerpts."
    " Name topics, not files. Give the description and nothing else."
)


async def describe(resources: Resources, workspace: UUID, store_id: UUID, model: Mapping[str, Any] | None) -> str:
    """A description of what everybody may find in a document store by a model, given as `{name, inputs}`.

    Raises `MissingPart` without a model, `NotFound`, `Unprocessable` for a document store without such chunks or a
    model that there is not here, the provider's errors.
    """
    store = await document_stores.get(resources, workspace, store_id)
    name = (model or {}).get("name")
    if not model or not isinstance(name, str) or not name:
        raise MissingPart("selectedChatModel: is missing; give {name, inputs}")
    excerpts = []
    for loader in store.loaders[:LOADERS_READ]:
        _, chunks, _, _ = await document_stores.chunk_page(resources, workspace, store_id, loader.id, 1)
        shown = [chunk for chunk in chunks if chunk.principals is None and not store.restricted]
        if shown:
            excerpts.append("\n".join(chunk.text for chunk in shown[:3])[:CHARACTERS])
    if not excerpts:
        raise Unprocessable(
            f"Document store '{store.name}' has no chunks to describe that everybody may find; process a loader first"
        )
    step = _step(name, model.get("inputs"), model.get("credential"))
    await step.prepare(workspace, _backing(resources))
    try:
        if step.quotes:
            raise Unprocessable(f"selectedChatModel.name: '{name}' has no model that can write here")
        answer = await step.chat.ainvoke([("system", INSTRUCTION), ("human", _question(store.name, excerpts))])
    finally:
        await step.close()
    return " ".join(str(answer.text).split())[:LONGEST]


def _question(name: str, excerpts: Sequence[str]) -> str:
    fence = Fence()
    parts = [fence.put(text, "excerpt") for text in excerpts]
    return "\n\n".join([f"The collection is called: {name}", fence.note, *parts])


def _step(name: str, inputs: Any, credential: Any) -> ModelStep:
    """The model's step. Raises `Unprocessable` naming the models that there are, or a field with a bad value."""
    fields = inputs if isinstance(inputs, Mapping) else {}
    reference = str(credential or fields.get("credential") or fields.get("FLOWISE_CREDENTIAL_ID") or "")
    made = resolve(STEPS, name, "chat model") if name in STEPS else None
    if made is None or not issubclass(made, ModelStep):
        known = ", ".join(key for key in STEPS if issubclass(resolve(STEPS, key, "chat model"), ModelStep))
        raise Unprocessable(f"selectedChatModel.name: '{name}' is not available here; use {known}")
    node = Node(f"{name}_0", name, made.label, made.category, fields, "", reference)
    try:
        step: ModelStep = made.build(node, {})
    except ValueError as error:
        raise Unprocessable(f"selectedChatModel.inputs: {error}") from None
    return step


def _backing(resources: Resources) -> Backing:
    """What a model's step needs: credentials, for the host they are sent to, and the settings."""

    async def search(workspace: UUID, store: UUID, question: str, *, k: int, **asked: Any) -> Sequence[Passage]:
        found = await document_stores.search(resources, workspace, store, question, k=k)
        return [Passage(str(item.id), item.text, item.metadata, item.score) for item in found]

    async def quote(question: str, passages: Sequence[Passage]) -> Quoted:
        return Quoted((), (), False)  # a model that writes quotes nothing

    async def credential(workspace: UUID, reference: UUID, host: str | None) -> Mapping[str, str]:
        return await reveal(resources, workspace, reference, host=host)

    defaults = defaults_from(resources.settings, resources.egress)
    return Backing(search, quote, credential, defaults, resources.settings.chat_model)
