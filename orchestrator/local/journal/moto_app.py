"""Every point where this package touches moto, in one file (``tests/local/journal/test_moto_contact.py`` has one
test for each). moto changes its internals between patch releases, so there are few of them.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from orchestrator.local.messages import Request, Response

# moto reads these once, when it is imported.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
os.environ["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(64 * 1024)  # larger bodies go to temporary files
os.environ.pop("MOTO_ACCOUNT_ID", None)  # it would pin every caller to one account
os.environ.pop("MOTO_ENABLE_RECORDING", None)

from moto.core.base_backend import BackendDict  # noqa: E402
from moto.core.model_instances import reset_model_data  # noqa: E402
from moto.core.request import (  # noqa: E402
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.iam.models import iam_backends  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402

_application = DomainDispatcherApplication(create_backend_app)


def call(request: Request, account: str, port: int) -> Response:
    """moto's own answer to a request made by this account. What moto raises comes through."""
    environ = _environ(request, account, port)
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
        if error is not None:
            raise error[1]
        started.append((status, headers))

    parts: Iterable[bytes] = _application(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    status, headers = started[0]
    return Response(int(status.split()[0]), tuple(headers), body)


def _environ(request: Request, account: str, port: int) -> dict[str, Any]:
    path, _, query = request.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    preserved: dict[str, str] = {}
    for name, value in request.headers:
        if "_" in name:
            # WSGI cannot tell X_Moto_Account_Id from X-Moto-Account-Id: only S3 metadata may have underscores.
            if not should_preserve_original_header_name(name):
                continue
            preserved[environ_key_for_header(name)] = name
        key = environ_key_for_header(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(request.body))
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved
    return environ


def owner_of_user_key(access_key: str) -> str | None:
    """The account whose IAM made this key for a user."""
    for account, partitions in list(iam_backends.items()):
        if any(access_key in backend.access_keys for backend in list(partitions.values())):
            return str(account)
    return None


def forget_everything() -> None:
    """Empty every service of every account."""
    BackendDict.reset()
    reset_model_data()
