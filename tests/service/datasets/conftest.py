"""What tests say to datasets."""

import base64
from typing import Any

import httpx
import pytest

API = "/api/v1/datasets"


def data_uri(text: str | bytes, name: str = "questions.csv") -> str:
    """A CSV as Flowise's forms send it."""
    content = text.encode() if isinstance(text, str) else text
    return f"data:text/csv;base64,{base64.b64encode(content).decode()},filename:{name}"


class Desk:
    """A client that makes datasets."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def dataset(self, name: str = "Handbook", **fields: Any) -> str:
        """A new dataset's id."""
        response = await self.client.post(f"{API}/set", json={"name": name, **fields})
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    async def row(self, dataset: str, question: str, answer: str = "", **fields: Any) -> dict[str, Any]:
        """A new row."""
        body = {"datasetId": dataset, "input": question, "output": answer, **fields}
        response = await self.client.post(f"{API}/rows", json=body)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def read(self, dataset: str, **query: Any) -> dict[str, Any]:
        """A dataset with its rows."""
        response = await self.client.get(f"{API}/set/{dataset}", params=query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def rows(self, dataset: str, **query: Any) -> list[tuple[str, str]]:
        """The questions and answers of a dataset, in order."""
        return [(row["input"], row["output"]) for row in (await self.read(dataset, **query))["rows"]]

    async def numbers(self, dataset: str) -> list[tuple[int, str]]:
        """The numbers and questions of a dataset, in order."""
        return [(row["sequenceNo"], row["input"]) for row in (await self.read(dataset))["rows"]]


@pytest.fixture
def desk(client: httpx.AsyncClient) -> Desk:
    """A client that may do everything."""
    return Desk(client)
