"""What never gets in: requests that a web page made, and names that were bent to this machine.

Binding to loopback is not enough: every page in the user's browser can reach it, and with DNS rebinding even
under a name of its own. A program that talks to the embedded AWS sends a loopback Host and no Origin.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from orchestrator.local.messages import Request
from orchestrator.local.service import ServiceError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def check_origin(request: Request) -> None:
    """Raise ServiceError when a browser sent the request for a page that is not from this machine."""
    host = request.fields.get("host", "")
    if _hostname(f"//{host}") not in LOOPBACK:
        raise ServiceError("AccessDenied", f"The Host '{host:.100}' is not this machine's loopback address.", 403)
    origin = request.fields.get("origin")
    if origin is not None and _hostname(origin) not in LOOPBACK:
        raise ServiceError("AccessDenied", "Requests from web pages are refused.", 403)
    if request.fields.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise ServiceError("AccessDenied", "Requests from web pages are refused.", 403)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
