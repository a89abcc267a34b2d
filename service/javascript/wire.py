"""The JSON shapes of functions that are tried out (contract 6.7)."""

from typing import Any

from pydantic import Field

from service.http.wire import Body


class CustomFunction(Body):
    """A function to run, and the values of its input variables."""

    javascript_function: str = Field(
        max_length=100_000, description="The body of an async function", examples=["return $city.toUpperCase()"]
    )
    function_input_variables: dict[str, Any] = Field(
        default_factory=dict, description="Values by name; the script finds them as `$name`", examples=[{"city": "Ulm"}]
    )
