"""HTTP requests that a model may make: the address and the headers are the author's, the values the model's."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import BadOption, Links, StepOptions
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name
from service.chatflows.steps.tool_http import (
    checked_url,
    fetched,
    headers_of,
    object_schema,
    plain_text,
    shortened,
    text_of,
    with_path,
    with_query,
)
from service.json_text import parsed

_KINDS = frozenset({"string", "number", "integer", "boolean", "array", "object"})


def _url(value: Any) -> Any:
    text = plain_text(value)
    return checked_url(text) if isinstance(text, str) and text else text


def _parameters(value: Any) -> Any:
    if isinstance(value, str):
        value = parsed(value) if value.strip() else {}
    if isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
        return value
    raise ValueError("must be a JSON object with an object for each parameter")


def _object(value: Any) -> Any:
    return (parsed(plain_text(value)) if value.strip() else {}) if isinstance(value, str) else value


Address = Annotated[str, BeforeValidator(_url)]
Plain = Annotated[str, BeforeValidator(plain_text)]
SentHeaders = Annotated[dict[str, str], BeforeValidator(headers_of)]
Parameters = Annotated[dict[str, Any], BeforeValidator(_parameters)]
JsonObject = Annotated[dict[str, Any], BeforeValidator(_object)]

PARAMETERS = "An object for each parameter: type, description, required, and in (query or path)."
LENGTH = "Characters of an answer that the model reads."


class RequestOptions(StepOptions):
    """What the four nodes have in common."""

    url: Address = ""
    name: Plain = ""
    description: Plain = ""
    headers: SentHeaders = Field(default_factory=dict)
    parameters: Parameters = Field(default_factory=dict)
    body: JsonObject = Field(default_factory=dict)
    max_output_length: int = Field(2000, ge=1, le=1_000_000)

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, data: Any) -> Any:
        """Version 1 of the nodes has short names."""
        if not isinstance(data, dict):
            return data
        renamed = {
            item: str(cls.model_fields[item].alias) for item in ("url", "name", "description", "headers", "body")
        }
        return {**{renamed[key]: value for key, value in data.items() if key in renamed and value}, **data}


class GetOptions(RequestOptions):
    """Fields of the node."""

    url: Address = Field("", alias="requestsGetUrl", title="URL")
    name: Plain = Field("requests_get", alias="requestsGetName", title="Name")
    description: Plain = Field("Reads from an address.", alias="requestsGetDescription", title="Description")
    headers: SentHeaders = Field(default_factory=dict, alias="requestsGetHeaders", title="Headers")
    parameters: Parameters = Field(
        default_factory=dict, alias="requestsGetQueryParamsSchema", title="Query Params Schema", description=PARAMETERS
    )
    max_output_length: int = Field(
        2000, ge=1, le=1_000_000, alias="requestsGetMaxOutputLength", title="Max Output Length", description=LENGTH
    )


class PostOptions(RequestOptions):
    """Fields of the node."""

    url: Address = Field("", alias="requestsPostUrl", title="URL")
    name: Plain = Field("requests_post", alias="requestsPostName", title="Name")
    description: Plain = Field("Sends to an address.", alias="requestsPostDescription", title="Description")
    headers: SentHeaders = Field(default_factory=dict, alias="requestsPostHeaders", title="Headers")
    parameters: Parameters = Field(
        default_factory=dict, alias="requestsPostBodySchema", title="Body Schema", description=PARAMETERS
    )
    body: JsonObject = Field(default_factory=dict, alias="requestPostBody", title="Body")
    max_output_length: int = Field(
        2000, ge=1, le=1_000_000, alias="requestsPostMaxOutputLength", title="Max Output Length", description=LENGTH
    )


class PutOptions(RequestOptions):
    """Fields of the node."""

    url: Address = Field("", alias="requestsPutUrl", title="URL")
    name: Plain = Field("requests_put", alias="requestsPutName", title="Name")
    description: Plain = Field("Changes what an address holds.", alias="requestsPutDescription", title="Description")
    headers: SentHeaders = Field(default_factory=dict, alias="requestsPutHeaders", title="Headers")
    parameters: Parameters = Field(
        default_factory=dict, alias="requestsPutBodySchema", title="Body Schema", description=PARAMETERS
    )
    body: JsonObject = Field(default_factory=dict, alias="requestPutBody", title="Body")
    max_output_length: int = Field(
        2000, ge=1, le=1_000_000, alias="requestsPutMaxOutputLength", title="Max Output Length", description=LENGTH
    )


class DeleteOptions(RequestOptions):
    """Fields of the node."""

    url: Address = Field("", alias="requestsDeleteUrl", title="URL")
    name: Plain = Field("requests_delete", alias="requestsDeleteName", title="Name")
    description: Plain = Field("Deletes what an address holds.", alias="requestsDeleteDescription", title="Description")
    headers: SentHeaders = Field(default_factory=dict, alias="requestsDeleteHeaders", title="Headers")
    parameters: Parameters = Field(
        default_factory=dict,
        alias="requestsDeleteQueryParamsSchema",
        title="Query Params Schema",
        description=PARAMETERS,
    )
    max_output_length: int = Field(
        2000, ge=1, le=1_000_000, alias="requestsDeleteMaxOutputLength", title="Max Output Length", description=LENGTH
    )


class RequestStep(ToolStep):
    """Calls one address for a model."""

    method: ClassVar[str]
    sends: ClassVar[bool] = False
    """Whether the model's values go into the body, and no place of the URL's path is in its query."""
    free: ClassVar[bool] = False
    """Whether the model may choose the address where the author has not."""
    version = 2
    Options: ClassVar[type[StepOptions]] = RequestOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `RequestOptions`. Raises `BadOption` without an address, where a model must not choose it."""
        super().__init__(node, options, links)
        self._options: RequestOptions = options
        if not options.url and not self.free:
            field = self.Options.model_fields["url"].alias
            raise BadOption(f"{field}: give the address; a model may choose what is sent there, but not where to")

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        options = self._options
        return [Tool(tool_name(options.name), options.description, self._schema(), self._call)]

    def _schema(self) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required = []
        for name, about in self._options.parameters.items():
            kind = str(about.get("type") or "string").lower()
            properties[name] = {
                "type": kind if kind in _KINDS else "string",
                **({"items": {}} if kind == "array" else {}),
                **({"description": str(about["description"])} if about.get("description") else {}),
                **({"enum": about["enum"]} if isinstance(about.get("enum"), list) else {}),
            }
            if about.get("required") in (True, "true"):
                required.append(name)
        if not self._options.url:
            properties["url"] = {"type": "string", "description": "The address, with http:// or https://"}
            required.append("url")
        if self.sends and not self._options.parameters:
            properties["body"] = {"type": "object", "description": "What is sent, as JSON"}
        return object_schema(properties, required)

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        options = self._options
        url = options.url or str(given.get("url") or "")
        if not options.url:
            try:
                checked_url(url)
            except ValueError as error:
                raise ToolFailed(f"url: {error}") from None
        known = {name: given[name] for name in options.parameters if given.get(name) is not None}
        in_path = {name for name in known if options.parameters[name].get("in") == "path"}
        path = {name: known[name] for name in in_path}
        rest = {name: value for name, value in known.items() if name not in in_path}
        lacks = [place for place in in_path if f":{place}" not in url and f"{{{place}}}" not in url]
        address = with_path(url, path) if options.url and path else url
        for name in lacks:  # the description says where it goes: behind the address
            address = with_path(f"{address.rstrip('/')}/:{name}", path)
        body: Any = None
        if self.sends:
            own = given.get("body") if not options.parameters else rest
            body = {**options.body, **(own if isinstance(own, Mapping) else {})}
        else:
            address = with_query(address, rest)
        answer = await fetched(run, address, method=self.method, headers=options.headers, body=body)
        text = shortened(text_of(answer), options.max_output_length)
        return Outcome(text if 200 <= answer.status < 300 else f"Status {answer.status}. {text}")


class RequestsGet(RequestStep):
    """Reads from an address."""

    label = "Requests Get"
    base_classes = ("RequestsGet", "DynamicStructuredTool", "StructuredTool", "Runnable", "Tool")
    method = "GET"
    free = True
    Options = GetOptions


class RequestsPost(RequestStep):
    """Sends JSON to an address."""

    label = "Requests Post"
    base_classes = ("RequestsPost", "DynamicStructuredTool", "StructuredTool", "Runnable", "Tool")
    method = "POST"
    sends = True
    Options = PostOptions


class RequestsPut(RequestStep):
    """Changes what an address holds."""

    label = "Requests Put"
    base_classes = ("RequestsPut", "DynamicStructuredTool", "StructuredTool", "Runnable", "Tool")
    method = "PUT"
    sends = True
    Options = PutOptions


class RequestsDelete(RequestStep):
    """Deletes what an address holds."""

    label = "Requests Delete"
    base_classes = ("RequestsDelete", "DynamicStructuredTool", "StructuredTool", "Runnable", "Tool")
    method = "DELETE"
    Options = DeleteOptions
