"""Every point where this package touches moto, in one file; ``tests/local/journal/test_moto_app.py`` has a test
for each. moto moves its internals between patch releases, so there are few of them and its version is pinned.
What moto lacks is in ``moto_additions``.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import unquote

from orchestrator.local.journal import determinism, moto_additions
from orchestrator.local.journal.blobs import Body
from orchestrator.local.messages import Request, Response

# moto reads these when it is imported.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
os.environ.pop("MOTO_ACCOUNT_ID", None)  # it would pin every caller to one account
os.environ.pop("MOTO_ENABLE_RECORDING", None)

import moto
import moto.backends
from moto.core.base_backend import AccountSpecificBackend, BackendDict, BaseBackend
from moto.core.model_instances import model_data
from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.iam.access_control import PermissionResult
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3 import models as _s3_models

VERSION: str = moto.__version__
_BACKENDS: Any = moto.backends
_USED: Any = BackendDict
s3: Any = _s3_models
KEPT_OBJECTS: type = s3.FakeKey
"""S3 objects, whose bodies a snapshot only names."""

CLOCKS_AND_CHANCE: tuple[tuple[str, str, Any], ...] = (
    ("moto.core.utils", "datetime", determinism.DATETIME_MODULE),
    ("moto.apigateway.models", "datetime", determinism.Datetime),
    ("moto.apigateway.models", "time", determinism.TIME_MODULE),
    ("moto.ecr.models", "datetime", determinism.Datetime),
    ("moto.iam.models", "os", determinism.OS_MODULE),
    ("moto.kms.models", "os", determinism.OS_MODULE),
    ("moto.kms.utils", "os", determinism.OS_MODULE),
    ("moto.s3.models", "datetime", determinism.DATETIME_MODULE),
    ("moto.s3.models", "os", determinism.OS_MODULE),
    ("moto.secretsmanager.models", "time", determinism.TIME_MODULE),
    ("moto.sts.utils", "os", determinism.OS_MODULE),
)
"""(module, name, stand-in): where moto's services look at the clock or throw dice without its own random source."""


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """Something that happened to an S3 object, as the bucket's owner will hear of it."""

    name: str
    bucket: str
    owner: str
    region: str
    key: str
    size: int
    etag: str
    version_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """moto's response and what happened on the way."""

    response: Response
    events: tuple[ObjectEvent, ...] = ()


class _Heard(threading.local):
    events: list[ObjectEvent] | None = None


_HEARD = _Heard()


class _ThreadRandom(type(mock_random)):  # type: ignore[misc]
    """moto's source of ids; a thread that runs a logged request has its own, the others share moto's."""

    def random(self) -> float:
        chance = determinism.MOMENT.chance
        return super().random() if chance is None else chance.random()

    def getrandbits(self, k: int) -> int:
        chance = determinism.MOMENT.chance
        return super().getrandbits(k) if chance is None else chance.getrandbits(k)


class _Unkept(list[Any]):
    """moto keeps every model object it ever made in a list for its dashboard: a leak. This list keeps nothing."""

    def append(self, item: Any) -> None:
        pass


def _tame() -> None:
    """Put our stand-ins into the modules of moto that are loaded by now; it loads a service at its first request."""
    mock_random.__class__ = _ThreadRandom
    for module, name, replacement in CLOCKS_AND_CHANCE:
        if module in sys.modules:
            setattr(sys.modules[module], name, replacement)
    s3.tempfile = _Bodies
    s3.notifications.send_event = _hear
    s3.S3Backend._set_delete_marker = _set_delete_marker
    s3.FakeBucket.get_permission = _permission
    s3.S3Backend.log_incoming_request = _write_no_access_log
    moto_additions.add()
    if "moto.sns.models" in sys.modules:
        sys.modules["moto.sns.models"].Subscription.get_post_data = _notification
    for models in model_data.values():
        for model in models.values():
            if not isinstance(model.instances_tracked, _Unkept):  # type: ignore[attr-defined]
                model.instances_tracked = _Unkept()  # type: ignore[attr-defined]


class _Bodies:
    """The module ``tempfile`` as moto's S3 sees it."""

    SpooledTemporaryFile = Body


def _hear(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:  # noqa: ARG001  moto's signature
    """In place of moto's own delivery, which knows no Lambda and no EventBridge of ours: note the event."""
    if _HEARD.events is not None and bucket.notification_configuration is not None:
        name = str(getattr(event_name, "value", event_name)).removeprefix("s3:")
        version = key.version_id if bucket.is_versioned else None
        etag = str(getattr(key, "etag", "")).strip('"')
        size = int(getattr(key, "size", 0))
        place = (bucket.name, bucket.account_id, bucket.region_name)
        _HEARD.events.append(ObjectEvent(name, *place, key.name, size, etag, version or ""))


def _write_no_access_log(backend: Any, request: Any, bucket_name: str) -> None:
    """Access logs of buckets, which moto would write for reads too: changes that no log of ours would have."""
    del backend, request, bucket_name


def _permission(bucket: Any, action: str, resource: str) -> Any:
    """Bucket policies are evaluated before moto sees a request; its own reading knows no principals or conditions."""
    del bucket, action, resource
    return PermissionResult.NEUTRAL


_moto_set_delete_marker = s3.S3Backend._set_delete_marker


def _set_delete_marker(backend: Any, bucket_name: str, key_name: str) -> Any:
    """moto's own, and an event: moto notifies nobody of delete markers."""
    marker = _moto_set_delete_marker(backend, bucket_name, key_name)
    _hear("", "s3:ObjectRemoved:DeleteMarkerCreated", backend.get_bucket(bucket_name), marker)
    return marker


def _notification(
    subscription: Any, message: str, message_id: str, subject: str | None, message_attributes: Any = None
) -> dict[str, Any]:
    """The envelope of a notification in a queue. moto signs each with a key pair of its own, which costs 50 ms,
    is never freed, and differs at every run; nobody can check the signature of a local topic anyway."""
    notification = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic.arn,
        "Message": message,
        "Timestamp": determinism.Datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": "1",
        "Signature": "bm90LXNpZ25lZA==",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService.pem",
        "UnsubscribeURL": f"https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription.arn}",
    }
    if subject:
        notification["Subject"] = subject
    if message_attributes:
        notification["MessageAttributes"] = message_attributes
    return notification


def _make_app(service: Any) -> Any:
    application = create_backend_app(service)
    _tame()
    return application


_application = DomainDispatcherApplication(_make_app)
_tame()


def call(request: Request, account: str, port: int) -> Answer:
    """moto's own answer to a request made by this account. What moto raises comes through."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
        if error is not None:
            raise error[1]
        started.append((status, headers))

    _HEARD.events = []
    try:
        parts: Iterable[bytes] = _application(_environ(request, account, port), start_response)
        try:
            body = b"".join(parts)
        finally:
            close: Callable[[], None] = getattr(parts, "close", lambda: None)
            close()
        status, headers = started[0]
        return Answer(Response(int(status.split()[0]), tuple(headers), body), tuple(_HEARD.events))
    finally:
        _HEARD.events = None


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


def home_of_api(api_id: str) -> tuple[str, str] | None:
    """The account and region of an API Gateway REST API."""
    if "moto.apigateway.models" not in sys.modules:
        return None
    for account, region, backend in list(_BACKENDS.get_backend("apigateway").iter_backends()):
        if api_id in backend.apis:
            return str(account), str(region)
    return None


def tells_eventbridge(bucket: str) -> bool:
    """Whether the bucket sends its events to EventBridge, which moto's own answer leaves out."""
    partition, account = s3.s3_backends.bucket_accounts.get(bucket, ("", ""))
    found = s3.s3_backends[account][partition].buckets.get(bucket) if account else None
    configuration = found.notification_configuration if found else None
    return configuration is not None and configuration.event_bridge is not None


def forget_everything() -> None:
    """Empty every service of every account."""
    BackendDict.reset()


KEPT_SESSIONS = 1000


def shed() -> None:
    """Drop what moto keeps for ever and nobody asks for: old sessions of roles, sent and deleted messages.

    A key of a dropped session still belongs to its account; only the name of the session is forgotten.
    """
    for (service, _, _), found in backends():
        backend: Any = found
        match service:
            case "sts":
                del backend.assumed_roles[:-KEPT_SESSIONS]
            case "sns":
                for topic in backend.topics.values():
                    topic.sent_notifications.clear()
            case "sqs":
                for queue in backend.queues.values():
                    queue.deleted_messages.clear()


# ---- what a snapshot needs: all state hangs on backends, one for each service, account and region ----

BACKEND_DICT_OWN = frozenset({"backend", "service_name", "_use_boto3_regions", "_additional_regions", "_id"})


def _dict_of_dicts() -> defaultdict[str, Any]:
    return defaultdict(dict)


FACTORIES: dict[str, Callable[[], Any]] = {
    "SimpleSystemManagerBackend.__init__.<locals>.<lambda>": _dict_of_dicts,
}
"""Functions like moto's own that pickle cannot name, by their qualified names."""


def backend_dicts() -> dict[str, Any]:
    """The dictionaries of backends in use, by the name of moto's package for the service."""
    return {found.backend.__module__.split(".")[1]: found for found in list(_USED._instances)}


def backends() -> Iterator[tuple[tuple[str, str, str], BaseBackend]]:
    """((service, account, region), backend) of every backend in use."""
    for service, found in backend_dicts().items():
        for account, region, backend in list(found.iter_backends()):
            yield (service, account, region), backend


def shared_state(found: Any) -> dict[str, Any]:
    """What a service keeps across accounts (the owners of bucket names)."""
    return {name: value for name, value in vars(found).items() if name not in BACKEND_DICT_OWN}


def backend_at(service: str, account: str = "", region: str = "") -> Any:
    """The live dictionary of a service, of an account in it, or the backend itself."""
    found = _BACKENDS.get_backend(service)
    _tame()
    if not account:
        return found
    return found[account][region] if region else found[account]


def place_of(value: Any) -> tuple[str, str, str] | None:
    """Where a backend or a dictionary of backends hangs, the inverse of ``backend_at``; None for anything else."""
    if isinstance(value, BaseBackend):
        service = type(value).__module__.split(".")[1]
        return service, value.account_id, value.region_name
    if isinstance(value, BackendDict):
        return value.backend.__module__.split(".")[1], "", ""
    if isinstance(value, AccountSpecificBackend):
        return value.backend.__module__.split(".")[1], value.account_id, ""
    return None
