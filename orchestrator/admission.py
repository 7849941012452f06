"""Admission: AWS's own validator looks at every template of a rendering before anything of it reaches AWS.

It checks the schemas of the resources, references, and what would fail in CloudFormation only after minutes. Errors
refuse the rendering; warnings do not, the gates of this product's own build look at those. A template that has been
admitted is not looked at again in this process: values travel as parameters, so most configs share theirs.

Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/ and the package ``cloudformation-validate``.
"""

from __future__ import annotations

import atexit
import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from orchestrator.errors import BlueprintBroken
from orchestrator.model import Rendering

TEMPLATE_SUFFIX = ".yaml"
"""How the templates among the files of a bundle end; their parameters are ``.json``."""
PIPELINE = "the CodePipeline"
ADMITTED: set[str] = set()


def admit(rendering: Rendering) -> None:
    """Let a rendering pass. Raises BlueprintBroken, with every error of every template, when one is not valid."""
    findings = [each for name, text in _templates(rendering) for each in _findings(name, text)]
    if findings:
        raise BlueprintBroken(
            f"{len(findings)} error{'s' if len(findings) != 1 else ''} in what the config was rendered to; nothing was"
            f" created. {' · '.join(findings)}",
            hint="This is a mistake of the blueprint, not of the config; `mlops render` writes the templates.",
        )


def _templates(rendering: Rendering) -> Iterator[tuple[str, bytes]]:
    for name, data in sorted(rendering.files.items()):
        if name.endswith(TEMPLATE_SUFFIX):
            yield name, data
    yield PIPELINE, rendering.pipeline_template.encode()


def _findings(name: str, template: bytes) -> list[str]:
    digest = hashlib.sha256(template).hexdigest()
    if digest in ADMITTED:
        return []
    findings = [f"{name}: {where}{message} ({rule})" for rule, where, message in errors(template)]
    if not findings:
        ADMITTED.add(digest)
    return findings


def errors(template: bytes) -> list[tuple[str, str, str]]:
    """The errors of a template, as rule, place and message."""
    package, engine = _engine()
    report = engine.validate_template(template)
    severe = (package.Severity.ERROR, package.Severity.FATAL)
    return [
        (found.rule_id, _place(found), found.message.rstrip("."))
        for found in report.diagnostics
        if found.severity in severe
    ]


@cache
def _engine() -> tuple[Any, Any]:
    """Made at the first config: it takes a fifth of a second, and not every event is a config."""
    import cloudformation_validate

    atexit.register(_engine.cache_clear)  # its library is gone when the interpreter clears up by itself
    return cloudformation_validate, cloudformation_validate.CelEngine()


def _place(found: Any) -> str:
    """Resource and property, as far as they are known."""
    parts = [found.entity.logical_id if found.entity else "", found.property_path or ""]
    return "".join((".".join(filter(None, parts)), ": ")) if any(parts) else ""
