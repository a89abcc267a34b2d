"""Similarity: the chunks whose vectors lie nearest to the query's."""

from service.retrieval.base import Hit, Query, Retriever, Sources


class SimilarityRetriever(Retriever):
    """Scores are cosine similarities."""

    def __init__(self, sources: Sources) -> None:
        """Search this document store."""
        self._sources = sources

    async def retrieve(self, query: Query) -> list[Hit]:
        if query.limit <= 0:
            return []
        sources = self._sources
        vector = await sources.embed(query.text)
        matches = await sources.vectors.query(sources.collection, vector, query.limit, where=query.where)
        return [Hit(int(match.id), match.score, {"cosine": match.score}) for match in matches]
