"""What is in the function's zip, as a CycloneDX document: https://cyclonedx.org/docs/1.6/json/

The same zip always has the same document: no time, and a serial number that is made from the zip's hash.
"""

from __future__ import annotations

import email.parser
import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from email.message import Message
from typing import Any

from orchestrator import __version__
from orchestrator.infra.lock import locked

SPECIFICATION = "1.6"


def document(package: bytes) -> dict[str, Any]:
    """The bill of materials of a zip that ``lambda_package`` built."""
    digest = hashlib.sha256(package).hexdigest()
    libraries = sorted(_libraries(package), key=lambda one: str(one["name"]))
    own = {
        "type": "application",
        "bom-ref": "mlops-orchestrator",
        "name": "mlops-orchestrator",
        "version": __version__,
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.UUID(digest[:32], version=4)}",
        "version": 1,
        "metadata": {"component": own},
        "components": libraries,
        "dependencies": [
            {"ref": "mlops-orchestrator", "dependsOn": [one["bom-ref"] for one in libraries]},
            *({"ref": one["bom-ref"]} for one in libraries),
        ],
    }


def text(package: bytes) -> str:
    """The document as it is written beside the zip."""
    return json.dumps(document(package), indent=1, sort_keys=True) + "\n"


def _libraries(package: bytes) -> Iterator[dict[str, Any]]:
    lock = locked()
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/METADATA"):
                yield _component(email.parser.BytesParser().parsebytes(archive.read(name), headersonly=True), lock)


def _component(metadata: Message, lock: Any) -> dict[str, Any]:
    name, version = metadata["Name"].lower().replace("_", "-"), metadata["Version"]
    purl = f"pkg:pypi/{name}@{version}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"name": _licence(metadata)}}],
    }
    if lock.get(name, ("",))[0] == version:
        sums = [{"alg": "SHA-256", "content": one} for one in lock[name][1]]
        where = f"https://pypi.org/project/{name}/{version}/"
        component["externalReferences"] = [{"type": "distribution", "url": where, "hashes": sums}]
    return component


def _licence(metadata: Message) -> str:
    """What the library says its licence is: an expression, a classifier, or a short name."""
    if metadata["License-Expression"]:
        return str(metadata["License-Expression"])
    classified = [one for one in metadata.get_all("Classifier", []) if one.startswith("License :: ")]
    if classified:
        return str(classified[0].rpartition(" :: ")[2])
    return str(metadata["License"] or "not stated").splitlines()[0]
