"""What a request to S3 asks permission for: its actions are told from method, path and query.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from orchestrator.local.authorization.asked import Asked, Values
from orchestrator.local.messages import Request

CONFIGURED = {
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "inventory": "InventoryConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
"""Settings of a bucket by the name in the query; the action is Get or Put (which also takes away) and this."""
TAKEN_AWAY = {"policy": "DeleteBucketPolicy", "website": "DeleteBucketWebsite"}
LISTED = {"uploads": "ListBucketMultipartUploads", "versions": "ListBucketVersions"}
BUCKET_ITSELF = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}

OF_OBJECT = {"acl": "Acl", "legal-hold": "LegalHold", "retention": "Retention", "tagging": "Tagging"}
VERSIONED = frozenset({"Acl", "Tagging"})
"""Of these the action on a named version has a name of its own."""
KMS_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
CONDITION_HEADERS = ("x-amz-acl", "x-amz-copy-source", "x-amz-server-side-encryption", KMS_HEADER)
PRECONDITIONS = {"if-match": "s3:if-match", "if-none-match": "s3:if-none-match"}
"""Headers that are condition keys where an object is written:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
CONDITION_QUESTIONS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


def place_of(request: Request) -> tuple[str, str]:
    """The bucket and key of a request, '' for none."""
    bucket, _, key = request.raw_path.lstrip("/").partition("/")
    return unquote(bucket), unquote(key)


def source_of(request: Request) -> tuple[str, str, str]:
    """(bucket, key, version) of what a request copies, each '' for none."""
    path, _, version = request.fields.get("x-amz-copy-source", "").partition("?versionId=")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    return bucket, key, version


def asked_of_s3(request: Request, partition: str = "aws") -> list[Asked]:
    """Every action of a request, each on its bucket or object."""
    bucket, key = place_of(request)
    query = dict(request.query)
    context = _context(request, query)
    whole = f"arn:{partition}:s3:::{bucket}"
    if not bucket:
        return [Asked("s3:ListAllMyBuckets", "*")]
    if key:
        names = _of_object(request, query)
        found = [Asked(f"s3:{name}", f"{whole}/{key}", context) for name in names]
        return [*found, *_copied(request, partition)]
    if request.method == "POST" and "delete" in query:
        return [Asked(f"s3:{name}", f"{whole}/{one}", context) for name, one in _deleted(request.body)]
    return [Asked(f"s3:{_of_bucket(request.method, query)}", whole, context)]


def _of_bucket(method: str, query: dict[str, str]) -> str:
    for name, setting in CONFIGURED.items():
        if name in query:
            if method in ("GET", "HEAD"):
                return f"Get{setting}"
            return TAKEN_AWAY.get(name, f"Put{setting}") if method == "DELETE" else f"Put{setting}"
    for name, action in LISTED.items():
        if name in query and method == "GET":
            return action
    return BUCKET_ITSELF.get(method, "PutObject")  # POST: a browser's form


def _of_object(request: Request, query: dict[str, str]) -> Iterator[str]:
    method, version = request.method, "Version" if "versionId" in query else ""
    for name, part in OF_OBJECT.items():
        if name in query:
            verb = {"GET": "Get", "DELETE": "Delete"}.get(method, "Put")
            yield f"{verb}Object{version if part in VERSIONED else ''}{part}"
            return
    match method:
        case "GET" if "uploadId" in query:
            yield "ListMultipartUploadParts"
        case "GET" | "HEAD":
            yield f"GetObject{version}"
            if "attributes" in query:
                yield f"GetObject{version}Attributes"
        case "DELETE" if "uploadId" in query:
            yield "AbortMultipartUpload"
        case "DELETE":
            yield f"DeleteObject{version}"
        case _:
            yield "PutObject"
            if request.fields.get("x-amz-tagging"):
                yield "PutObjectTagging"
            if request.fields.get("x-amz-acl"):
                yield "PutObjectAcl"


def _copied(request: Request, partition: str) -> Iterator[Asked]:
    bucket, key, version = source_of(request)
    if bucket:
        yield Asked(f"s3:GetObject{'Version' if version else ''}", f"arn:{partition}:s3:::{bucket}/{key}")


def _deleted(body: bytes) -> Iterator[tuple[str, str]]:
    """(action, key) of each object that a DeleteObjects request names; a body that cannot be read names none."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  expat expands no external entities
    except ElementTree.ParseError:
        return
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "Object":
            members = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            yield f"DeleteObject{'Version' if members.get('VersionId') else ''}", members.get("Key", "")


def _context(request: Request, query: dict[str, str]) -> Values:
    made: Values = {f"s3:{name}": (request.fields[name],) for name in CONDITION_HEADERS if name in request.fields}
    made |= {key: (query[name],) for name, key in CONDITION_QUESTIONS.items() if name in query}
    if writes_object(request):
        made |= {key: (request.fields[name],) for name, key in PRECONDITIONS.items() if name in request.fields}
    if "versionId" in query:
        made["s3:versionid"] = (query["versionId"],)
    return made


def wanted_key(request: Request, default: str) -> str:
    """The KMS key that an upload is to be encrypted with: the request's, else the bucket's; '' for none."""
    asked_for = request.fields.get("x-amz-server-side-encryption", "")
    if asked_for and "kms" not in asked_for:
        return ""
    return request.fields.get(KMS_HEADER, "") or default


def writes_object(request: Request) -> bool:
    """Whether the request puts an object's data (at once, by copying, or in parts)."""
    _, key = place_of(request)
    settings = any(name in OF_OBJECT for name, _ in request.query)
    return bool(key) and request.method in ("PUT", "POST") and not settings


def reads_object(request: Request) -> bool:
    """Whether the answer carries an object's data."""
    _, key = place_of(request)
    settings = any(name in OF_OBJECT or name in ("attributes", "uploadId") for name, _ in request.query)
    return bool(key) and request.method == "GET" and not settings


def looks_at_object(request: Request) -> bool:
    """Whether the request asks for an object, so that its absence would be told."""
    _, key = place_of(request)
    return bool(key) and request.method in ("GET", "HEAD") and not any(name in OF_OBJECT for name, _ in request.query)
