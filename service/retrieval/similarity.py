"""Similarity: the chunks whose vectors lie nearest to the question's."""

from service.retrieval.base import Call, Hit, Question, SearchStage
from service.retrieval.narrowing import few_of, nearest


class Similarity(SearchStage):
    """Finds the chunks whose vectors lie nearest to the question's. Scores are cosine similarities."""

    name = "similarity"

    async def search(self, question: Question, limit: int, call: Call) -> list[Hit]:
        if limit <= 0:
            return []
        sources, notes = call.sources, call.notes
        with notes.timed("embedding"):
            vector = await sources.vector_of(question)
        few = await few_of(call)
        with notes.timed("vectors"):
            matches = await nearest(vector, limit, call, few)
        near = [(int(match.id), sources.nearness(match.score)) for match in matches]
        return [Hit(number, score, {"cosine": score}) for number, score in near]
