"""Make ``orchestrator/image_table.json``, the table behind ``images.image_uri``, from a ``sagemaker-core`` wheel.

The wheel carries one JSON file for every framework and algorithm, and a resolver that puts a tag together from
them by many special rules. Here the rules are applied once, to every combination, and only their results are
kept: at run time an image is looked up, nothing is derived, and an unknown value can be answered with the known ones.

    pip download --no-deps sagemaker-core -d /tmp/wheel
    python -m orchestrator.infra.image_table /tmp/wheel/sagemaker_core-*.whl

The table: ``registries`` is a list of region -> account maps; ``frameworks`` maps a name to a list of groups with
``scopes``, ``aliases`` (version -> version) and ``versions``. A version maps Python versions ("" when the image is
chosen without) to a ``repository``, the index of its ``registry`` and ``tags``: processor ("" when any) -> tag.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "image_table.json"
FOLDER = "sagemaker/core/image_uri_config/"

NOT_FRAMEWORKS = {"instance_gpu_info"}
GONE_SCOPES = {"eia"}  # Elastic Inference ended in 2024.

# Rules that stand in the code of the SDK's resolver and not in its data, each by the name it has there.
GRAVITON_TAGS = {  # version_to_arm64_tag_mapping
    ("xgboost", "1.5-1"): "1.5-1-arm64",
    ("xgboost", "1.3-1"): "1.3-1-arm64",
    ("sklearn", "1.0-1"): "1.0-1-arm64-cpu-py3",
}
P4D_SUFFIXES = {  # container_versions of _get_image_tag: images of that time needed another CUDA on p4d
    "tensorflow-2.3-gpu-py37": "cu110-ubuntu18.04-v3",
    "tensorflow-2.3.1-gpu-py37": "cu110-ubuntu18.04",
    "tensorflow-2.3.2-gpu-py37": "cu110-ubuntu18.04",
    "tensorflow-1.15-gpu-py37": "cu110-ubuntu18.04-v8",
    "tensorflow-1.15.4-gpu-py37": "cu110-ubuntu18.04",
    "tensorflow-1.15.5-gpu-py37": "cu110-ubuntu18.04",
    "mxnet-1.8-gpu-py37": "cu110-ubuntu16.04-v1",
    "mxnet-1.8.0-gpu-py37": "cu110-ubuntu16.04",
    "pytorch-1.6-gpu-py36": "cu110-ubuntu18.04-v3",
    "pytorch-1.6.0-gpu-py36": "cu110-ubuntu18.04",
    "pytorch-1.6-gpu-py3": "cu110-ubuntu18.04-v3",
    "pytorch-1.6.0-gpu-py3": "cu110-ubuntu18.04",
}
NEURON_REPOSITORIES = {  # their tag names the Neuron SDK before the operating system
    "pytorch-training-neuron",
    "pytorch-training-neuronx",
    "huggingface-vllm-inference-neuronx",
    "huggingface-pytorch-inference-neuron",
    "huggingface-pytorch-inference-neuronx",
}


class Table:
    """The table while it is being filled; equal registry maps are kept once."""

    def __init__(self) -> None:
        self.registries: list[dict[str, str]] = []
        self.frameworks: dict[str, list[dict[str, Any]]] = {}

    def registry(self, accounts: dict[str, str]) -> int:
        """The index of a region -> account map."""
        if accounts not in self.registries:
            self.registries.append(accounts)
        return self.registries.index(accounts)

    def add(self, framework: str, config: dict[str, Any]) -> None:
        """Take in one data file."""
        if "scope" in config:
            groups = [(config["scope"], config)]
        else:
            groups = [([scope], part) for scope, part in config.items() if scope not in GONE_SCOPES]
        filled = [self.group(framework, scopes, part) for scopes, part in groups if "versions" in part]
        if filled:
            self.frameworks[framework] = _without_twins(filled)

    def group(self, framework: str, scopes: list[str], config: dict[str, Any]) -> dict[str, Any]:
        """Every image of one framework for the scopes that share them."""
        versions: dict[str, Any] = {}
        aliases: dict[str, str] = {}
        given = config.get("version_aliases", {})
        for version, entry in config["versions"].items():
            bases = [key for key in entry if key.startswith(("pytorch", "tensorflow"))]
            if not bases:
                # The tag of an alias holds the alias, so it is a version of its own.
                for name in [version, *(alias for alias, target in given.items() if target == version)]:
                    versions[name] = self.version(framework, scopes, config, name, entry)
                continue
            for base in bases:
                number = base.removeprefix("pytorch").removeprefix("tensorflow")
                prefixed = {**entry[base], "tag_prefix": f"{number}-transformers{version}"}
                versions[f"{version}-{base}"] = self.version(framework, scopes, config, version, prefixed)
            if len(bases) == 1:
                short = [alias for alias, target in given.items() if target == version]
                aliases |= dict.fromkeys([version, *short], f"{version}-{bases[0]}")
        return {"scopes": sorted(scopes), "aliases": aliases, "versions": versions}

    def version(
        self, framework: str, scopes: list[str], config: dict[str, Any], version: str, entry: dict[str, Any]
    ) -> dict[str, Any]:
        """The images of one version, by Python version."""
        images: dict[str, Any] = {}
        for key, part in ({"": entry} if "repository" in entry else entry).items():
            pythons = part.get("py_versions") or [key]
            if framework == "spark":  # the one framework whose tag may go without its Python version
                pythons = ["", *pythons]
            for python in pythons:
                images[python] = {
                    "registry": self.registry(part["registries"]),
                    "repository": part["repository"],
                    "tags": dict(_tags(framework, scopes, config, version, part, python)),
                }
        return images


def _tags(
    framework: str, scopes: list[str], config: dict[str, Any], version: str, entry: dict[str, Any], python: str
) -> Iterator[tuple[str, str]]:
    """(processor, tag) for every processor of one version and Python version."""
    for processor in config.get("processors") or entry.get("processors") or [""]:
        container = entry.get("container_version") or {}
        suffix = container.get(processor) or next(iter(container.values()), "")
        if entry["repository"] in NEURON_REPOSITORIES:
            suffix = f"{max(entry['sdk_versions'])}-{suffix}"
        if entry["repository"] in (f"{framework}-inference-graviton", f"{framework}-inference-arm64"):
            suffix += "-sagemaker"
        shown = processor if entry.get("processor_in_tag", True) else ""
        if framework.startswith("huggingface-neuron"):
            shown = framework.removeprefix("huggingface-")
        if framework == "sagemaker-tritonserver" and processor == "gpu":
            shown = ""
        if "inference_graviton" in scopes and (framework, version) in GRAVITON_TAGS:
            yield processor, GRAVITON_TAGS[framework, version]
            continue
        prefix = entry.get("tag_prefix", version)
        tag = "-".join(part for part in (prefix, shown, python, suffix) if part)
        yield processor, tag
        if f"{framework}-{tag}" in P4D_SUFFIXES:
            yield "p4d", f"{tag}-{P4D_SUFFIXES[f'{framework}-{tag}']}"


def _without_twins(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups with equal images become one group with the scopes of all."""
    kept: list[dict[str, Any]] = []
    for group in groups:
        twin = next((other for other in kept if other["versions"] == group["versions"]), None)
        if twin:
            twin["scopes"] = sorted({*twin["scopes"], *group["scopes"]})
        else:
            kept.append(group)
    return kept


def build(wheel: Path) -> dict[str, Any]:
    """The whole table. Raises KeyError when the wheel's data have a form this module does not know."""
    table = Table()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            framework = name.removeprefix(FOLDER).removesuffix(".json")
            if name.startswith(FOLDER) and name.endswith(".json") and framework not in NOT_FRAMEWORKS:
                table.add(framework, json.loads(archive.read(name)))
    source = "-".join(wheel.name.split("-")[:2])
    return {"source": source, "registries": table.registries, "frameworks": table.frameworks}


def text(table: dict[str, Any]) -> str:
    """The table as it is committed: one line a framework, so that a change can be read."""
    lines = [f'{{"source":{json.dumps(table["source"])},', '"registries":[']
    lines.append(",\n".join(_compact(registry) for registry in table["registries"]))
    lines += ["],", '"frameworks":{']
    lines.append(",\n".join(f"{json.dumps(name)}:{_compact(groups)}" for name, groups in table["frameworks"].items()))
    lines.append("}}\n")
    return "\n".join(lines)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def main() -> None:
    """Write the table from the wheel named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    table = build(Path(sys.argv[1]))
    TARGET.write_text(text(table), encoding="utf-8")
    print(f"{TARGET}: {len(table['frameworks'])} frameworks from {table['source']}")


if __name__ == "__main__":
    main()
