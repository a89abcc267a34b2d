"""Similarity: the chunks whose vectors lie nearest to the question's."""

from service.retrieval.base import Call, Hit, Question, SearchStage


class Similarity(SearchStage):
    """Finds the chunks whose vectors lie nearest to the question's. Scores are cosine similarities."""

    name = "similarity"

    async def search(self, question: Question, limit: int, call: Call) -> list[Hit]:
        if limit <= 0:
            return []
        sources, notes = call.sources, call.notes
        with notes.timed("embedding"):
            vector = await sources.vector_of(question)
        with notes.timed("vectors"):
            matches = await sources.vectors.query(sources.collection, vector, limit, where=call.query.where)
        near = [(int(match.id), sources.nearness(match.score)) for match in matches]
        return [Hit(number, score, {"cosine": score}) for number, score in near]
