"""Finds passages in document stores."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from service.agentflows.nodes.base import FlowNode, Maker
from service.agentflows.state import Moment
from service.agentflows.templates import Template, changes, shown
from service.agentflows.types import Done
from service.chatflows.types import Passage, Sources, StepEvent

FORMATS = ("text", "textWithMetadata")


class Retriever(FlowNode):
    """Finds passages in document stores."""

    label = "Retriever"
    foreign = "documents"

    def read(self, maker: Maker) -> None:
        """The document stores, what is looked for, and how it is told."""
        rows = self.rows("retrieverKnowledgeDocumentStores")
        if not rows:
            maker.problem("retrieverKnowledgeDocumentStores: no document store is chosen")
        made = [maker.document_store(row.get("documentStore")) for row in rows]
        self._stores = tuple(store for store in made if store is not None)
        self._query = Template.parse(self.node.inputs.get("retrieverQuery") or "{{ question }}")
        self._format = self.choice("outputFormat", FORMATS)
        self.updates = self.state("retrieverUpdateState")

    async def act(self, moment: Moment) -> AsyncGenerator[StepEvent | Done, None]:
        """The passages, those of the first store first."""
        query = self._query.text(moment).strip() or moment.asked
        found = await asyncio.gather(*(store.retrieve(moment.run, query) for store in self._stores))
        passages = tuple({passage.id: passage for some in found for passage in some}.values())
        yield Sources(passages)
        text = told(passages, self._format)
        yield Done(
            text=text,
            output={"content": text, "sourceDocuments": [_document(passage) for passage in passages]},
            input={"question": query, "outputFormat": self._format},
            changes=changes(self.updates, moment, text),
        )


def told(passages: Sequence[Passage], form: str) -> str:
    """The passages as text, with their metadata or without."""
    if form == "text":
        return "\n\n".join(passage.text for passage in passages)
    return shown([_document(passage) for passage in passages])


def _document(passage: Passage) -> dict[str, object]:
    return {"pageContent": passage.text, "metadata": {**passage.metadata, "chunkId": passage.id}}
