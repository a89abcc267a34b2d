"""The HTTP application: features, errors and the edge put together."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pkgutil import resolve_name

from fastapi import FastAPI

from service import __version__
from service.api_keys.service import Verifier
from service.errors import install_error_handlers
from service.http.bodies import install_disconnects
from service.http.middleware import install_middleware
from service.http.openapi import Application
from service.http.outages import install_outages
from service.http.routers import ROUTERS
from service.http.routing import Routes
from service.resources import Resources, open_resources
from service.settings import Settings

DESCRIPTION = """Documents in (**upsert**), answers with their sources out (**prediction**), figures that say how good
they are (**evaluation**). Wire compatible with Flowise's `/api/v1`.

Send `Authorization: Bearer KEY` (`ragstone key new --name NAME`). Routes marked public need none."""


def create_app(settings: Settings, opened: AbstractAsyncContextManager[Resources] | None = None) -> Application:
    """The application for these settings; it opens its resources when it starts (or enters `opened`).

    Raises `UndeclaredRoute` when a route has no rule or a public one is not on the reviewed list.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened or open_resources(settings) as resources:
            app.state.resources = resources
            app.state.verify = Verifier(resources.database)
            yield

    app = Application(
        title="Ragstone",
        version=__version__,
        summary="RAG and knowledge-base service",
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        redirect_slashes=False,
        strict_content_type=False,
        openapi_url=None,  # the document and its page are routes like all others: service/http/docs.py
    )
    install_error_handlers(app)
    install_disconnects(app)
    install_outages(app)
    install_middleware(app, settings)
    for row in ROUTERS.values():
        routes: Routes = resolve_name(row)
        routes.install(app)
    return app
