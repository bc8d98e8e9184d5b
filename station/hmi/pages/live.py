"""Live: what the station decides now."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from station.hmi.rendering import page


def routes() -> list[Route]:
    """One page."""
    return [Route("/live", live, name="live")]


def live(request: Request) -> Response:
    """The state of the line."""
    return page(request, "live.html")
