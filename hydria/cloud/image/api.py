"""The Image API v2."""

from litestar import Router

router = Router("/image", route_handlers=[])
