"""The JSON shapes of datasets (contract 5.1). Rows have more than Flowise's: `sources`, `metadata`, `draft`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, ValidationError, field_validator, model_validator

from service.datasets.drafting import MOST_QUESTIONS
from service.datasets.service import MAX_CELL, MAX_METADATA, MAX_SOURCE, MAX_SOURCES, MOST_NUMBER
from service.datasets.types import Dataset, Gold, GoldKind, RatedAnswers, Row, RowDraft, Wish
from service.errors import Unprocessable, describe_validation
from service.feedback.types import Rating
from service.http.wire import Body, Date, Wire

ID = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
CSV_EXAMPLE = "data:text/csv;base64,aW5wdXQsb3V0cHV0CkhvdyBtYW55IGRheXMgb2YgbGVhdmU/LDMwIGRheXMK,filename:questions.csv"


class SourceFields(Body):
    """One source that must be found, named in one way."""

    source: str | None = Field(None, max_length=MAX_SOURCE, description="Name of a document", examples=["handbook.md"])
    document_id: UUID | None = Field(None, description="Id of a document")
    chunk_id: UUID | None = Field(None, description="Id of a chunk")
    quote: str | None = Field(None, max_length=MAX_SOURCE, description="Words that stand in it")

    @model_validator(mode="after")
    def _named_once(self) -> "SourceFields":
        if sum(value is not None for value in (self.source, self.document_id, self.chunk_id, self.quote)) != 1:
            raise ValueError("give one of source, documentId, chunkId, quote")
        return self

    def gold(self) -> Gold:
        """The same in our nouns."""
        for kind, value in (
            (GoldKind.DOCUMENT, self.document_id),
            (GoldKind.CHUNK, self.chunk_id),
            (GoldKind.QUOTE, self.quote),
            (GoldKind.SOURCE, self.source),
        ):
            if value is not None:
                return Gold(kind, str(value))
        raise AssertionError("one is given")


class Facts(Body):
    """What a row says besides question and answer. What is left out stays, or is empty in a new row."""

    sources: list[str | SourceFields] | None = Field(
        None,
        max_length=MAX_SOURCES,
        description="What must be found; a text is the name of a document",
        examples=[[{"source": "handbook.md"}]],
    )
    metadata: dict[str, Any] | None = Field(
        None, description="Whatever else there is to say", examples=[{"topic": "leave"}]
    )
    draft: bool | None = Field(None, description="Not accepted yet: no evaluation uses it", examples=[False])

    @field_validator("metadata")
    @classmethod
    def _not_too_large(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value and len(json.dumps(value, ensure_ascii=False).encode()) > MAX_METADATA:
            raise ValueError(f"has more than {MAX_METADATA} bytes as JSON")
        return value

    def facts(self) -> dict[str, Any]:
        """The columns that are given."""
        found: dict[str, Any] = {}
        if self.sources is not None:
            found["sources"] = tuple(
                Gold(GoldKind.SOURCE, item) if isinstance(item, str) else item.gold() for item in self.sources
            )
        if self.metadata is not None:
            found["metadata"] = self.metadata
        if self.draft is not None:
            found["draft"] = self.draft
        return found


class RowFields(Facts):
    """A row as files and imports bring it."""

    input: str = Field(max_length=MAX_CELL, description="The question", examples=["How many days of leave do I have?"])
    output: str = Field(
        "", max_length=MAX_CELL, description="The answer that is expected", examples=["30 days a year."]
    )

    @field_validator("input")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty")
        return value

    def row(self) -> RowDraft:
        """The same in our nouns."""
        return RowDraft(self.input, self.output, **self.facts())


def row_of(where: str, value: Any) -> RowDraft:
    """A row of a file. Raises `Unprocessable`, which says where it stands and what is wrong with it."""
    try:
        return RowFields.model_validate(value).row()
    except ValidationError as error:
        told = [{**item, "msg": item["msg"].removeprefix("Value error, ")} for item in error.errors()]
        # what is wrong with the row as a whole already names the field
        text = describe_validation(told).removeprefix("Invalid request. ").removeprefix("body: ")
        raise Unprocessable(f"{where}: {text}") from None


class CsvFields(Body):
    """Rows of CSV files: column 1 is the question, column 2 the answer."""

    csv_file: str | None = Field(
        None,
        description="`data:text/csv;base64,…,filename:…`, or a JSON array of such as a text",
        examples=[CSV_EXAMPLE],
    )
    first_row_headers: bool = Field(False, description="The first row holds headers", examples=[True])


class NewDataset(CsvFields):
    """A dataset to make, with the rows of CSV files where some come along."""

    name: str = Field(max_length=1000, description="What it is called", examples=["Handbook"])
    description: str | None = Field(None, max_length=20_000, examples=["Questions on the handbook"])


class DatasetChange(Body):
    """What to change of a dataset; what is left out stays."""

    name: str | None = Field(None, max_length=1000, description="What it is called", examples=["Handbook"])
    description: str | None = Field(None, max_length=20_000, examples=["Questions on the handbook"])

    def changes(self) -> Mapping[str, Any]:
        """The columns to change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None}


class NewRows(CsvFields, Facts):
    """A row to add, or CSV files with rows."""

    dataset_id: UUID | None = Field(None, description="The dataset", examples=[ID])
    input: str | None = Field(
        None, max_length=MAX_CELL, description="The question", examples=["How many days of leave?"]
    )
    output: str | None = Field(
        None, max_length=MAX_CELL, description="The answer that is expected", examples=["30 days"]
    )
    csv_file: str | None = Field(None, description="In place of a row: see the dataset's `csvFile`")

    def row(self) -> RowDraft:
        """The row. Raises `Unprocessable` without a question."""
        if self.input is None:
            raise Unprocessable("input: is missing; give a question, or a csvFile")
        return RowDraft(self.input, self.output or "", **self.facts())


class RowChange(Facts):
    """What to change of a row; what is left out stays."""

    input: str | None = Field(
        None, max_length=MAX_CELL, description="The question", examples=["How many days of leave?"]
    )
    output: str | None = Field(
        None, max_length=MAX_CELL, description="The answer that is expected", examples=["30 days"]
    )

    def changes(self) -> Mapping[str, Any]:
        """The columns to change."""
        texts = {name: value for name in ("input", "output") if (value := getattr(self, name)) is not None}
        return {**texts, **self.facts()}


class RowIds(Body):
    """Rows by their ids."""

    ids: list[UUID] = Field(max_length=100_000, description="Of rows; unknown ones are passed over", examples=[[ID]])


class Accepted(Body):
    """Which drafts to accept."""

    ids: list[UUID] | None = Field(None, max_length=100_000, description="Of rows; left out: all", examples=[[ID]])


class Place(Body):
    """The number of a row."""

    id: UUID
    sequence_no: int = Field(ge=0, le=MOST_NUMBER, examples=[0])


class NewOrder(Body):
    """Numbers of rows of one dataset."""

    dataset_id: UUID | None = Field(None, description="The dataset", examples=[ID])
    rows: list[Place] = Field(max_length=100_000, examples=[[{"id": ID, "sequenceNo": 0}]])


class ImportFields(CsvFields):
    """Rows to import, all of them or none: of files in a text, or as they are."""

    csv_file: str | None = Field(None, description="As in `POST /datasets/set`")
    jsonl_file: str | None = Field(None, description="JSON Lines, as they are or as a `data:` URI")
    rows: list[RowFields] | None = Field(
        None, max_length=100_000, examples=[[{"input": "How many days of leave?", "sources": ["handbook.md"]}]]
    )


class FromMessages(Body):
    """Which rated answers of a chatflow become rows."""

    chatflow_id: UUID = Field(examples=[ID])
    ratings: list[Rating] = Field(
        default_factory=lambda: list(Rating), description="Default: both", examples=[["THUMBS_UP", "THUMBS_DOWN"]]
    )
    start_date: datetime | None = Field(None, description="Only answers from then on")
    end_date: datetime | None = Field(None, description="Only answers until then")
    gold: GoldKind = Field(GoldKind.CHUNK, description="What their sources are named by", examples=["chunkId"])

    def wanted(self, *, everything: bool) -> RatedAnswers:
        """The same in our nouns."""
        return RatedAnswers(self.chatflow_id, self.ratings, self.start_date, self.end_date, self.gold, everything)


class FromStore(Body):
    """Which questions are drafted from a document store."""

    store_id: UUID = Field(description="The document store", examples=[ID])
    count: int = Field(20, ge=1, le=MOST_QUESTIONS, description="Questions at most, one a chunk", examples=[20])
    seed: int = Field(0, ge=0, le=MOST_NUMBER, description="Another one draws other chunks", examples=[0])
    gold: GoldKind = Field(GoldKind.CHUNK, description="What the chunk is named by as a source", examples=["chunkId"])
    use_model: bool = Field(True, description="Ask the service's own chat model, where there is one", examples=[True])

    def wish(self) -> Wish:
        """The same in our nouns."""
        return Wish(self.store_id, self.count, self.seed, self.gold, self.use_model)


class DatasetEntity(Wire):
    """A dataset."""

    id: UUID
    name: str = Field(examples=["Handbook"])
    description: str = Field(examples=["Questions on the handbook"])
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class ListedDataset(DatasetEntity):
    """A dataset in a list."""

    row_count: int = Field(examples=[20])


class DatasetPage(Wire):
    """A page of datasets."""

    total: int
    data: list[ListedDataset]


class RowEntity(Wire):
    """A row of a dataset."""

    id: UUID
    dataset_id: UUID
    input: str = Field(examples=["How many days of leave do I have?"])
    output: str = Field(examples=["30 days a year."])
    updated_date: Date
    sequence_no: int = Field(examples=[0])
    sources: list[dict[str, str]] = Field(examples=[[{"source": "handbook.md"}]])
    metadata: dict[str, Any] = Field(examples=[{"topic": "leave"}])
    draft: bool = Field(examples=[False])


class DatasetWithRows(DatasetEntity):
    """A dataset with a page of its rows, and how many it has."""

    rows: list[RowEntity]
    total: int


class Message(Wire):
    """What was done."""

    message: str = Field(examples=["3 rows added"])


class Imported(Message):
    """What an import did."""

    created: int = Field(examples=[3])


class TakenRows(Wire):
    """What became of rated answers."""

    created: int = Field(description="New rows", examples=[12])
    known: int = Field(description="Answers that the dataset had rows of before", examples=[3])


class DraftedRows(Wire):
    """What became of the wish for questions."""

    created: int = Field(description="New drafts", examples=[20])
    by_model: int = Field(description="Of these, how many a model wrote", examples=[18])
    fallback: str | None = Field(
        description="Why a model did not write all of them", examples=["2 without the model: the model wrote no JSON"]
    )


class AcceptedRows(Wire):
    """What became of drafts."""

    accepted: int = Field(examples=[12])
    left: int = Field(description="Drafts that have neither an output nor sources", examples=[2])


def entity(dataset: Dataset) -> DatasetEntity:
    """A dataset as clients read it."""
    return DatasetEntity(**_columns(dataset))


def listed(dataset: Dataset) -> ListedDataset:
    """A dataset as lists show it."""
    return ListedDataset(**_columns(dataset), row_count=dataset.rows)


def with_rows(dataset: Dataset, rows: Sequence[Row], total: int) -> DatasetWithRows:
    """A dataset with rows."""
    return DatasetWithRows(**_columns(dataset), rows=[row_entity(row) for row in rows], total=total)


def _columns(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "description": dataset.description,
        "created_date": dataset.created_at,
        "updated_date": dataset.updated_at,
        "workspace_id": dataset.workspace,
    }


def sources_of(row: RowDraft) -> list[dict[str, str]]:
    """The sources of a row as the wire and files have them."""
    return [{item.kind.value: item.value} for item in row.sources]


def row_entity(row: Row) -> RowEntity:
    """A row as clients read it."""
    return RowEntity(
        id=row.id,
        dataset_id=row.dataset,
        input=row.input,
        output=row.output,
        updated_date=row.updated_at,
        sequence_no=row.sequence_no,
        sources=sources_of(row),
        metadata=dict(row.metadata),
        draft=row.draft,
    )
