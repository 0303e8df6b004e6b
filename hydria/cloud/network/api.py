"""The Networking API v2.0."""

from litestar import Router

router = Router("/networking", route_handlers=[])
