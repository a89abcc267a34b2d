"""JSON bodies that a handler reads itself, because a body that is missing is answered 412 (contract 0.2), or because
the route takes forms and files too."""

from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from service.errors import BadRequest, MissingPart

Model = TypeVar("Model", bound=BaseModel)


async def asked(request: Request, model: type[Model]) -> Model:
    """The body of a request. Raises `MissingPart` for none, `BadRequest` for what is no JSON, and what the framework
    raises for a field that cannot be used."""
    if not (await request.body()).strip():
        raise MissingPart("body not provided!")
    try:
        value = await request.json()
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {str(error)[:200]}") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None
