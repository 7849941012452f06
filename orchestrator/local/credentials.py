"""Keys for calls to the gateway, and the token by which it knows the services of the embedded AWS themselves."""

from __future__ import annotations

from dataclasses import dataclass

SERVICE_MARK = "aws-service/"
"""How the session token of such a service begins; then its principal, and for whom it acts, if for anyone."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys for a child process or a client."""

    access_key: str
    secret_key: str
    session_token: str = ""


def service_credentials(account: str, principal: str, source: str = "") -> Credentials:
    """The keys with which a service of the embedded AWS calls in an account: for a resource, or as its own doing."""
    return Credentials(account, "local", f"{SERVICE_MARK}{principal}/{source}")
