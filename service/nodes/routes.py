"""Pictures of components over HTTP (contract 6.7)."""

from fastapi import Response

from service.errors import NotFound
from service.http.access import PUBLIC
from service.http.routing import Routes
from service.nodes import icons
from service.nodes.service import NODES

routes = Routes("Components")


@routes.get(
    "/node-icon/{name}",
    PUBLIC,
    errors=(404,),
    summary="The picture of a component",
    responses={
        200: {
            "content": {icons.MEDIA_TYPE: {"schema": {"type": "string"}, "example": icons.icon(NODES["pdfFile"])}},
            "description": "An SVG picture",
        }
    },
    response_class=Response,
)
async def get_node_icon(name: str) -> Response:
    """A neutral picture with the component's letters, as forms show it."""
    node = NODES.get(name)
    if node is None:
        raise NotFound(f"Component {name[:100]} not found")
    headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return Response(icons.icon(node), media_type=icons.MEDIA_TYPE, headers=headers)
