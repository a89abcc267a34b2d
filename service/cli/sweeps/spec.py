"""What a sweep file may hold: a suite's dataset and one target, and the settings to try on it."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from service.cli.suites.suite import (
    MOST_REPEATS,
    Component,
    Dataset,
    DocumentStore,
    Judge,
    Metric,
    Metrics,
    Name,
    Part,
    Suite,
    Target,
)

MOST_TRIALS = 200
MOST_VALUES = 100

RETRIEVAL_METRICS = (Metric(name="ndcg", options={"k": 10}), Metric(name="recall", options={"k": 5}))
"""What a document store is measured by where the file does not say."""
ANSWER_METRICS = (Metric(name="tokenF1"), *RETRIEVAL_METRICS)
TAKES = ("latency", "cost", "contextLength")
"""What is measured in any case: what quality is weighed against."""


def _values(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _pipelines(value: Any) -> Any:
    """One pipeline, or a list of them: a pipeline is a list of stages, each with its name."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [value]
    return value if isinstance(value, list) else [value]


def _component(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Tried = TypeVar("Tried")
Values = Annotated[tuple[Tried | None, ...], BeforeValidator(_values), Field(min_length=1, max_length=MOST_VALUES)]
"""Values of a setting: one, or a list of them."""

Embedding = Annotated[Component, BeforeValidator(_component)]
Pipeline = Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]


class Rerank(Part):
    """The options of the stage `rerank`, by their names over HTTP."""

    model_config = ConfigDict(extra="allow")

    provider: Name


class Cut(Part):
    """A threshold: the least score of the stage before, the least cosine of the vectors, or both."""

    min_score: float | None = Field(None, ge=-1, le=1)
    min_cosine: float | None = Field(None, ge=-1, le=1)


class Settings(Part):
    """What is tried: a value, or a list of them, for each setting. `null` stands for what is there now."""

    splitter: Values[Name] | None = Field(None, description="By name, such as `default` or `markdown`")
    chunk_size: Values[Annotated[int, Field(ge=1)]] | None = Field(None, description="As the splitter counts")
    chunk_overlap: Values[Annotated[int, Field(ge=0)]] | None = None
    embedding: Values[Embedding] | None = Field(None, description="By name, or name and config")
    k: Values[Annotated[int, Field(ge=1, le=1000)]] | None = Field(None, description="Passages to find")
    strategy: Values[Name] | None = Field(None, description="`hybrid` or `similarity`")
    weight: Values[Annotated[float, Field(ge=0, le=100)]] | None = Field(
        None, description="Of the words in `hybrid`, against the vectors' 1"
    )
    rerank: Values[Rerank | Name | Literal[False]] | None = Field(
        None, description="A provider by name, or with options; false: none"
    )
    mmr: Values[Annotated[float, Field(ge=0, le=1)] | Literal[False]] | None = Field(
        None, description="Lambda of the stage `mmr`; false: none"
    )
    threshold: Values[Cut | float | Literal[False]] | None = Field(
        None, description="The least score, or min_score and min_cosine; false: none"
    )
    retrieval: (
        Annotated[tuple[Pipeline | None, ...], BeforeValidator(_pipelines), Field(min_length=1, max_length=MOST_VALUES)]
        | None
    ) = Field(None, description="Whole pipelines, each a list of stages; in place of the five above")
    prompt: Values[str] | None = Field(None, description="Of a flow that has one node with a prompt")
    inputs: dict[str, Annotated[list[Any], BeforeValidator(_values), Field(min_length=1)]] = Field(
        default_factory=dict, description="Of a flow: `NODE.INPUT` to values, NODE being an id or a label"
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set or not self.lists():
            raise ValueError("name a setting to try, such as chunk_size or k")
        for name in self.inputs:
            if not all(name.rpartition(".")[::2]):
                raise ValueError(f"inputs: {name!r} is not like NODE.INPUT")
        return self

    def lists(self) -> dict[str, list[Any]]:
        """The values to try by setting, in the order of the fields, as plain values."""
        dumped = self.model_dump(mode="json", exclude_none=True, exclude={"inputs"})
        found = {name: list(values) for name, values in dumped.items() if values is not None}
        return found | {name: list(values) for name, values in self.inputs.items()}


class Sweep(Part):
    """A sweep of Ragstone: settings tried on a document store or a flow, over a dataset."""

    version: Literal[1] = Field(1, description="Of this format")
    name: Name = Field(description="Of its evaluations")
    document_stores: tuple[DocumentStore, ...] = Field((), description="Filled before, as those of a suite")
    dataset: Annotated[Dataset, BeforeValidator(_component)]
    target: Target = Field(description="What the settings are tried on")
    settings: Settings
    metrics: Metrics | None = Field(None, description="What is measured; the first is the quality")
    quality: Name | None = Field(None, description="Label of the metric to be good at; default: the first")
    against: tuple[Name, ...] | None = Field(
        None, max_length=5, description=f"Labels of what quality is weighed against; default: {', '.join(TAKES)}"
    )
    max_trials: int = Field(24, ge=1, le=MOST_TRIALS, description="Of more, a random sample is tried")
    sample: Literal["grid", "random"] = Field("grid", description="random: a sample in random order in any case")
    seed: int = Field(0, ge=0, description="Of the sample, and of the rows that are held back")
    holdout: float = Field(0.0, ge=0, le=0.9, description="Share of rows that the choice is not made by")
    repeats: int = Field(1, ge=1, le=MOST_REPEATS)
    concurrency: int | None = Field(None, ge=1)
    judge: Judge | None = None
    keep_hours: float = Field(24, gt=0, le=24 * 31, description="When a copy that nobody removed is deleted")

    def measured(self) -> tuple[Metric, ...]:
        """All metrics, those that tell what is taken included."""
        retrieval = self.target.document_store is not None
        chosen = self.metrics or (RETRIEVAL_METRICS if retrieval else ANSWER_METRICS)
        named = {each.name.partition("@")[0] for each in chosen}
        return (*chosen, *(Metric(name=name) for name in TAKES if name not in named))

    def suite(self) -> Suite:
        """Dataset, target and metrics as a suite."""
        return Suite(
            name=self.name,
            document_stores=self.document_stores,
            dataset=self.dataset,
            targets=(self.target,),
            metrics=self.measured(),
        )
