"""API keys over HTTP (contract 6.1)."""

from typing import Annotated, Literal

from fastapi import Path, Request

from service.errors import Unauthorized
from service.http.access import PUBLIC, Verify
from service.http.routing import Routes

routes = Routes("API keys")


@routes.get(
    "/verify/apikey/{apikey}",
    PUBLIC,
    errors=(401,),
    summary="Whether an API key is accepted",
    response_model=Literal["OK"],
)
async def verify_api_key(
    apikey: Annotated[str, Path(description="The key itself", examples=["Zm9v…"])], request: Request
) -> Literal["OK"]:
    """`"OK"` for a key that is known and not revoked. Whoever has it could as well use it; logs do not hold it."""
    verify: Verify = request.app.state.verify
    if await verify(apikey) is None:
        raise Unauthorized
    return "OK"
