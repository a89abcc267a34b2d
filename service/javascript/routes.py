"""Functions tried out over HTTP (contract 6.7)."""

from typing import Any

from service.http.access import needs
from service.http.routing import Routes
from service.javascript import service
from service.javascript.wire import CustomFunction
from service.resources import CurrentResources

routes = Routes("Tools")

TRY = needs("chatflows:create", "chatflows:update", "agentflows:create", "agentflows:update", "tools:create")


@routes.post(
    "/node-custom-function", TRY, errors=(422, 501, 503), summary="Run a JavaScript function", response_model=Any
)
async def run_custom_function(body: CustomFunction, resources: CurrentResources) -> Any:
    """Runs the function apart from the service, as flows do, and answers what it returns. 501 where the operator has
    not switched JavaScript on."""
    return await service.custom_function(resources.javascript, body.javascript_function, body.function_input_variables)
