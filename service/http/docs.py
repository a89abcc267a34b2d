"""The OpenAPI document and its pages, served from this process alone: nothing is loaded from elsewhere."""

from html import escape
from importlib.util import find_spec
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from service.errors import NotFound
from service.http.access import PUBLIC
from service.http.routing import Routes

routes = Routes("Service", prefix="")

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
"""The files that the package `fastapi-offline` carries and we serve, with their types."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy of the page: whatever a script there may do, it talks to this service only."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{root}/docs/favicon.png">
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-document="{root}/openapi.json"></div>
<script src="{root}/docs/swagger-ui-bundle.js"></script>
<script src="{root}/docs/start.js"></script>
</body>
</html>
"""

START = """const place = document.getElementById("swagger-ui");
window.ui = SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""
"""Without `validatorUrl: null` Swagger UI would ask a server on the internet for its opinion of the document."""


@routes.get("/openapi.json", PUBLIC, summary="The OpenAPI document", include_in_schema=False)
async def openapi_document(request: Request) -> JSONResponse:
    """Every route, typed."""
    return JSONResponse(request.app.openapi())


@routes.get("/docs", PUBLIC, summary="The routes, readable", include_in_schema=False)
async def docs_page(request: Request) -> HTMLResponse:
    """The OpenAPI document as a page where requests can be tried."""
    page = PAGE.format(title=escape(request.app.title), root=escape(request.scope.get("root_path", "")))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


@routes.get("/docs/{asset}", PUBLIC, errors=(404,), summary="A file of the docs page", include_in_schema=False)
async def docs_asset(asset: str) -> Response:
    """A script, style sheet or picture of the page."""
    headers = {"Cache-Control": "public, max-age=3600"}
    if asset == "start.js":
        return Response(START, media_type="text/javascript", headers=headers)
    if asset not in ASSETS:
        raise NotFound(f"No such file: /docs/{asset}")
    return FileResponse(_folder() / asset, media_type=ASSETS[asset], headers=headers)


def _folder() -> Path:
    """Where the package's files lie; the package itself is not imported."""
    spec = find_spec("fastapi_offline")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"
