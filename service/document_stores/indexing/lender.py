"""Vectors that are there already: those of a collection that another one, of the same embedding, takes the place of."""

import logging
from collections.abc import Sequence

from service.document_stores.ledger.types import PendingChunk
from service.errors import ServiceError
from service.retrieval.base import point_id
from stores.vector.base import Unavailable, UnknownCollection, Vector, VectorStore

log = logging.getLogger("ragstone.ingest")


class Lender:
    """A collection to take vectors over from, as long as its store answers: what it does not lend is embedded."""

    def __init__(self, vectors: VectorStore, collection: str) -> None:
        """`vectors` holds the collection."""
        self._vectors = vectors
        self._collection = collection
        self._answers = True

    async def lend(self, chunks: Sequence[PendingChunk]) -> dict[int | None, Vector]:
        """The vectors of these chunks, by number, where there are any."""
        numbers = {point_id(chunk.number): chunk.number for chunk in chunks if chunk.number is not None}
        if not self._answers:
            return {}
        try:
            points = await self._vectors.get(self._collection, list(numbers))
        except (Unavailable, UnknownCollection, ServiceError) as error:
            log.warning("No vectors are taken over, they are made anew: %s", error)
            self._answers = False
            return {}
        return {numbers[point.id]: point.vector for point in points}
