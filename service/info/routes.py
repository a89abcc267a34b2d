"""Liveness, readiness, version."""

from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from service import __version__
from service.errors import Unavailable
from service.http.access import PUBLIC
from service.http.routing import Routes
from service.resources import CurrentResources

routes = Routes("Service")
probes = Routes("Service", prefix="")


class Version(BaseModel):
    """The version of this service."""

    version: str = Field(examples=["0.1.0"])


class Health(BaseModel):
    """`ok` when the process can serve requests."""

    status: str = Field("ok", examples=["ok"])


@routes.get(
    "/ping",
    PUBLIC,
    summary="Whether the service answers",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {"example": "pong"}}}},
)
async def ping() -> HTMLResponse:
    """Answers `pong` as text, as Flowise does."""
    return HTMLResponse("pong")


@routes.get("/version", PUBLIC, summary="Version of the service", response_model=Version)
async def version() -> Version:
    """The version of Ragstone that answers."""
    return Version(version=__version__)


@probes.get("/healthz", PUBLIC, summary="Liveness: the process runs", response_model=Health)
async def healthz() -> Health:
    """For a supervisor that restarts dead processes; looks at nothing else."""
    return Health()


@probes.get("/readyz", PUBLIC, errors=(503,), summary="Readiness: requests can be served", response_model=Health)
async def readyz(resources: CurrentResources) -> Health:
    """For a load balancer: the database answers."""
    if not await resources.database.alive():
        raise Unavailable("The database does not answer")
    return Health()
