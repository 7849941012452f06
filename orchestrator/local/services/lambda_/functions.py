"""Functions as documents: what may be asked for, what is filled in, and how a name leads to a version."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import NamedTuple

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.store import Document, Key, Store

LATEST = "$LATEST"
SERVICE = "lambda"
REFERENCE = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:)?"
    r"(?P<name>[A-Za-z0-9_-]{1,140})(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]+))?"
)
PYTHON = re.compile(r"python3\.\d+")
RESERVED = frozenset({
    "_HANDLER", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "TZ",
})  # fmt: skip
"""Developer Guide, "Defined runtime environment variables"."""
LARGEST_ENVIRONMENT_BYTES = 4096
REFUSED = (
    "CapacityProviderConfig", "CodeSigningConfigArn", "DurableConfig", "AcceleratorConfig", "FileSystemConfigs",
    "ImageConfig", "Layers", "RuntimeConfig", "TenancyConfig",
)  # fmt: skip
KEPT = (
    "Runtime", "Role", "Handler", "Description", "Timeout", "MemorySize", "DeadLetterConfig", "Environment",
    "KMSKeyArn", "TracingConfig", "EphemeralStorage", "LoggingConfig",
)  # fmt: skip
"""Members that CreateFunction and UpdateFunctionConfiguration take and every answer shows."""
DEFAULTS: Document = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
}


class Target(NamedTuple):
    """A function and the part of it that was asked for."""

    key: Key
    qualifier: str


def target_of(call: Call, reference: str, qualifier: str | None = None) -> Target:
    """What a FunctionName (name, partial or whole ARN, with or without qualifier) and a Qualifier mean."""
    match = REFERENCE.fullmatch(reference)
    if not match:
        text = f"1 validation error detected: Value '{reference}' at 'functionName' is not a function's name or ARN"
        raise ServiceError("ValidationException", text)
    inner = match["qualifier"]
    if inner and qualifier and inner != qualifier:
        raise ServiceError(
            "InvalidParameterValueException", "The derived qualifier from the function name does not match"
        )
    key = Key(match["account"] or call.account, match["region"] or call.region, SERVICE, "Function", match["name"])
    return Target(key, qualifier or inner or "")


def not_found(key: Key, qualifier: str = "") -> ServiceError:
    """The error for a function, version or alias that is not there."""
    arn = function_arn(key) + (f":{qualifier}" if qualifier else "")
    return ServiceError("ResourceNotFoundException", f"Function not found: {arn}", 404)


def function_arn(key: Key) -> str:
    """The unqualified ARN."""
    partition = (
        "aws-cn" if key.region.startswith("cn-") else "aws-us-gov" if key.region.startswith("us-gov-") else "aws"
    )
    return f"arn:{partition}:lambda:{key.region}:{key.account}:function:{key.name}"


def version_key(key: Key, version: str) -> Key:
    """Where a published version lies."""
    return key._replace(type="Version", name=f"{key.name}:{version}")


def configuration(store: Store, target: Target) -> tuple[Document, str]:
    """The configuration a target means, and the ARN as it was asked for.

    Raises ResourceNotFoundException when function, version or alias are missing.
    """
    function = store.get(target.key)
    if function is None:
        raise not_found(target.key, target.qualifier)
    arn = function["Configuration"]["FunctionArn"]
    if target.qualifier in ("", LATEST):
        return function["Configuration"], arn + (f":{LATEST}" if target.qualifier else "")
    alias = function["Aliases"].get(target.qualifier)
    version = alias["FunctionVersion"] if alias else target.qualifier
    if version == LATEST:
        return function["Configuration"], f"{arn}:{target.qualifier}"
    published = store.get(version_key(target.key, version))
    if published is None:
        raise not_found(target.key, target.qualifier)
    return published["Configuration"], f"{arn}:{target.qualifier}"


def new_function(key: Key, parameters: Document, code: Document) -> Document:
    """The document of a function that is being created; ``code`` holds CodeSha256 and CodeSize."""
    check(parameters)
    for name in ("Handler", "Runtime"):
        if not parameters.get(name):
            text = (
                f"Runtime and Handler are mandatory parameters for functions created with deployment packages: {name}"
            )
            raise ServiceError("InvalidParameterValueException", text)
    configuration: Document = {
        **DEFAULTS,
        "FunctionName": key.name,
        "FunctionArn": function_arn(key),
        "PackageType": "Zip",
        "Architectures": parameters.get("Architectures", ["x86_64"]),
        "Version": LATEST,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        **code,
    }
    return {
        "Configuration": changed(configuration, parameters),
        "Tags": parameters.get("Tags", {}),
        "Aliases": {},
        "Policies": {},
        "EventInvokeConfigs": {},
        "NextVersion": 1,
    }


def changed(configuration: Document, parameters: Document) -> Document:
    """A configuration with the members that the parameters set, under a new revision."""
    given = {name: parameters[name] for name in KEPT if name in parameters}
    merged: Document = {**configuration, **given}
    logging = merged.get("LoggingConfig", {})
    merged["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{merged['FunctionName']}", **logging}
    return {**merged, "RevisionId": str(uuid.uuid4()), "LastModified": timestamp()}


def timestamp() -> str:
    """Now, as Lambda writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def check(parameters: Document) -> None:
    """Refuse what the embedded AWS does not run, by name; raises InvalidParameterValueException."""
    problem = None
    if parameters.get("PackageType", "Zip") != "Zip":
        problem = "the embedded AWS runs functions from zip archives only (PackageType Zip)"
    elif not PYTHON.fullmatch(parameters.get("Runtime", "python3.12")):
        problem = f"the embedded AWS runs Python functions only, not the runtime {parameters['Runtime']}"
    elif used := [name for name in REFUSED if parameters.get(name)]:
        problem = f"the embedded AWS does not support {', '.join(used)} of a function"
    elif parameters.get("VpcConfig", {}).get("SubnetIds"):
        problem = "the embedded AWS has no networks: VpcConfig is not supported"
    elif parameters.get("SnapStart", {}).get("ApplyOn", "None") != "None":
        problem = "the embedded AWS does not support SnapStart"
    elif parameters.get("LoggingConfig", {}).get("LogFormat", "Text") != "Text":
        problem = "the embedded AWS writes function logs as Text only (LoggingConfig.LogFormat)"
    else:
        problem = environment_problem(parameters.get("Environment", {}).get("Variables", {}))
    if problem:
        raise ServiceError("InvalidParameterValueException", problem[0].upper() + problem[1:])


def environment_problem(variables: dict[str, str]) -> str | None:
    """What is wrong with a function's environment, if anything."""
    if taken := sorted(RESERVED & variables.keys()):
        return (
            "Lambda was unable to configure your environment variables because the environment variables you have"
            " provided contains reserved keys that are currently not supported for modification. Reserved keys used"
            f" in this request: {', '.join(taken)}"
        )
    if sum(len(name) + len(value) for name, value in variables.items()) > LARGEST_ENVIRONMENT_BYTES:
        return f"environment variables are at most {LARGEST_ENVIRONMENT_BYTES} bytes in all"
    return None
