"""Built-in images, and what an image asks of the machine it runs on.

``image_uri`` looks an image up in ``image_table.json`` (made by ``infra/image_table.py`` from the data of the
SageMaker SDK); nothing is imported or called at run time. The second half knows CUDA: which version an image
was built for, which inference AMI has a driver for it, and which pairings of image, AMI and instance cannot work.
Its facts stand, with their sources, in ``accelerators.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from orchestrator.errors import BadRequest
from orchestrator.explain import nearest

HERE = Path(__file__).resolve().parent

# The domain of a partition's endpoints by the start of its region names; botocore's endpoint data has the same list.
DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}
OTHER_NAMES = {
    "scikit-learn": "sklearn",
    "tei": "huggingface-tei",
    "tgi": "huggingface-llm",
    "triton": "sagemaker-tritonserver",
}
# SageMaker runs these families on Graviton; the SDK has the list as GRAVITON_ALLOWED_TARGET_INSTANCE_FAMILY.
GRAVITON = re.compile(r"[cmr]\d+g[dn]*$")
NEURON = re.compile(r"(inf|trn)\d")
GPU = re.compile(r"(g|gr|p)\d")

Scope = Literal["training", "inference"]


class ImageUnknown(BadRequest):
    """No built-in image has these values. ``argument`` is the one that is wrong, ``allowed`` what it may be."""

    title = "There is no such image"

    def __init__(self, argument: str, value: object, allowed: Iterable[str], what: str) -> None:
        self.argument = argument
        self.value = value
        self.allowed = tuple(allowed)
        message = (
            f"{what} has no {argument} {value!r}." if value not in (None, "") else f"{what}: {argument} is missing."
        )
        super().__init__(
            f"{message} It may be one of: {', '.join(self.allowed)}.", hint=nearest(value or "", self.allowed)
        )


@cache
def _table() -> Mapping[str, Any]:
    table: dict[str, Any] = json.loads((HERE / "image_table.json").read_text(encoding="utf-8"))
    return table


def frameworks(scope: str | None = None) -> tuple[str, ...]:
    """The names of all frameworks and algorithms with built-in images, or of those for one scope."""
    names: Mapping[str, list[dict[str, Any]]] = _table()["frameworks"]
    return tuple(name for name, groups in names.items() if not scope or any(scope in g["scopes"] for g in groups))


def image_uri(
    framework: str,
    version: object,
    region: str,
    *,
    scope: str | None = None,
    instance_type: str | None = None,
    py_version: str | None = None,
) -> str:
    """The URI of a built-in image.

    ``scope`` is ``training``, ``inference`` or what the framework has (``processing``, ``monitoring``); None when
    all scopes share their images or there is one. A framework of a single version takes any ``version``. Without
    ``py_version`` the newest is taken. Hugging Face versions name their base, ``4.49.0-pytorch2.6.0``, unless there
    is just one. The registries are listed at https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/.

    Raises ImageUnknown, naming the argument that is wrong and its allowed values.
    """
    name = OTHER_NAMES.get(framework, framework)
    if name not in _table()["frameworks"]:
        raise ImageUnknown("framework", framework, frameworks(scope), "The catalog of built-in images")
    group = _group(name, scope, _family(instance_type))
    by_python, shown = _version(name, group, version)
    entry = by_python[_python(f"{name} {shown}", by_python, py_version)]
    tag = _tag(f"{name} {shown}", entry["tags"], instance_type)
    accounts = _table()["registries"][entry["registry"]]
    if region not in accounts:
        raise ImageUnknown("region", region, sorted(accounts), f"{name} {shown}")
    uri = f"{registry(accounts[region], region)}/{entry['repository']}"
    return f"{uri}:{tag}" if tag else uri


def registry(account: str, region: str) -> str:
    """The host of an account's private registry in Amazon ECR, in whichever partition the region is."""
    domain = next((DOMAINS[start] for start in DOMAINS if region.startswith(start)), "amazonaws.com")
    return f"{account}.dkr.ecr.{region}.{domain}"


def is_legacy(framework: object, version: object) -> bool:
    """Whether this names the XGBoost image of 2018, which a missing version or ``latest`` would silently mean."""
    return framework == "xgboost" and str(version or "latest") in ("latest", "1")


def _group(name: str, scope: str | None, family: str) -> dict[str, Any]:
    groups: list[dict[str, Any]] = _table()["frameworks"][name]
    by_scope = {each: group for group in groups for each in group["scopes"]}
    if scope in ("inference", None) and "inference_graviton" in by_scope and GRAVITON.match(family):
        return by_scope["inference_graviton"]
    if scope is None and (len(groups) == 1 or name in ("xgboost", "sklearn")):
        return by_scope.get("training") or groups[0]
    if scope not in by_scope:
        raise ImageUnknown("scope", scope, sorted(set(by_scope) - {"inference_graviton"}), name)
    return by_scope[scope]


def _version(name: str, group: Mapping[str, Any], version: object) -> tuple[dict[str, Any], str]:
    versions: dict[str, dict[str, Any]] = group["versions"]
    aliases: dict[str, str] = group["aliases"]
    wanted = str(version) if isinstance(version, str | int | float) and not isinstance(version, bool) else ""
    targets = [aliases.get(each, each) for each in (wanted, next(iter(versions)))]
    if targets[0] in versions:
        return versions[targets[0]], wanted
    if len({json.dumps(entry) for entry in versions.values()}) == 1:
        return versions[targets[1]], targets[1]
    raise ImageUnknown("version", version, sorted({*versions, *aliases}, key=natural, reverse=True), name)


def _python(what: str, pythons: Mapping[str, Any], wanted: str | None) -> str:
    if "" in pythons and (len(pythons) == 1 or not wanted):
        return ""
    if wanted in pythons:
        return str(wanted)
    if wanted:
        raise ImageUnknown("py_version", wanted, sorted(filter(None, pythons), key=natural, reverse=True), what)
    return max(pythons, key=natural)


def _tag(what: str, tags: Mapping[str, str], instance_type: str | None) -> str:
    if "" in tags:
        return tags[""]
    if not instance_type:
        if len(tags) == 1:
            return next(iter(tags.values()))
        raise ImageUnknown("instance_type", None, [f"an instance type with {kind}" for kind in sorted(tags)], what)
    family = _family(instance_type)
    neuron = NEURON.match(family)
    kinds = [neuron[1], "neuronx", "neuron", "inf", "trn"] if neuron else ["gpu" if is_gpu(instance_type) else "cpu"]
    for kind in (family, *kinds):
        if kind in tags:
            return tags[kind]
    raise ImageUnknown("instance_type", instance_type, [f"an instance type with {kind}" for kind in sorted(tags)], what)


def natural(version: str) -> list[tuple[int, int, str]]:
    """A key that sorts versions as people do: 1.9 before 1.10, py39 before py310, and words before numbers."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"\d+|[^\d.\-]+", version)]


# ---- What an image asks of its machine -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pairing:
    """Something about an image, an AMI and an instance type: an ``error`` cannot work, a ``warning`` may not."""

    severity: Literal["error", "warning"]
    argument: Literal["image", "inference_ami", "instance_type"]
    message: str
    fix: str = ""


@cache
def _accelerators() -> Mapping[str, Any]:
    facts: dict[str, Any] = json.loads((HERE / "accelerators.json").read_text(encoding="utf-8"))
    return facts


def amis() -> tuple[str, ...]:
    """The values ``InferenceAmiVersion`` may have."""
    return tuple(_accelerators()["amis"])


def _family(instance_type: object) -> str:
    """``m5`` of ``ml.m5.large``; empty when there is none."""
    parts = str(instance_type or "").split(".")
    return parts[1] if len(parts) == 3 and parts[0] == "ml" else ""


def is_gpu(instance_type: object) -> bool:
    """Whether the instance type has NVIDIA GPUs."""
    return bool(GPU.match(_family(instance_type)))


def cuda_of(image: str) -> int | None:
    """The CUDA version an image was built for, 124 for 12.4, from its tag or from what is known of it; else None."""
    told = re.search(r"(?:^|[-_:.])cu(?:da)?-?(\d{1,2})\.?(\d)(?![\d])", image.rpartition("/")[2])
    if told:
        number = int(told[1] + told[2])
        return number if number >= 70 else number * 10  # cu92 is 9.2, cuda12 is 12.0
    if _is_cpu_image(image):
        return None
    return next((rule["cuda"] for rule in _accelerators()["cuda_of"] if re.search(rule["image"], image)), None)


def _words(image: str) -> set[str]:
    return set(re.split(r"[-_:./]", image.partition("/")[2]))


def _is_cpu_image(image: str) -> bool:
    return "cpu" in _words(image)


def _is_gpu_image(image: str) -> bool:
    return cuda_of(image) is not None or bool({"gpu", "cuda"} & _words(image))


def _is_neuron_image(image: str) -> bool:
    return any(word.startswith("neuron") for word in _words(image)) or bool({"inf", "inf2", "trn"} & _words(image))


def inference_ami(image: str, instance_type: object) -> str | None:
    """The ``InferenceAmiVersion`` whose driver can run the image; None where AWS's own choice is right.

    That is the case on instances without GPUs and for images whose CUDA version is not known. AWS never applies
    an AMI by itself that fits the image: its defaults go by instance family, and some carry the driver of CUDA 11.4.
    """
    cuda = cuda_of(image)
    if cuda is None or not is_gpu(instance_type):
        return None
    facts = _accelerators()
    driver = facts["gpus"].get(_family(instance_type), {}).get("driver", 0)
    able = [rule for rule in facts["choice"] if facts["amis"][rule["ami"]]["driver"] >= driver]
    return str(next((rule for rule in reversed(able) if _reaches(rule["ami"], cuda)), able[0])["ami"])


def _reaches(ami: str, cuda: int) -> bool:
    """Whether the AMI stands at or above the one chosen for this CUDA version."""
    facts = _accelerators()
    wanted = next(rule["ami"] for rule in facts["choice"] if cuda >= rule["from_cuda"])
    return bool(facts["amis"][ami]["cuda"] >= facts["amis"][wanted]["cuda"])


def pairing_problems(image: str, ami: str | None, instance_type: str) -> list[Pairing]:
    """Everything that speaks against running ``image`` on ``instance_type`` with ``ami`` (None: chosen for it)."""
    found = [*_image_on_instance(image, instance_type)]
    if ami:
        found += _ami_on_instance(image, ami, instance_type)
    return found


def _image_on_instance(image: str, instance_type: str) -> Iterable[Pairing]:
    family = _family(instance_type)
    if _is_neuron_image(image):
        if not NEURON.match(family):
            text = f"The image is for AWS Neuron; {instance_type} has no such chip."
            yield Pairing("error", "instance_type", text, "Choose an ml.inf2 or ml.trn1 type, or another image.")
        return
    if _is_gpu_image(image) and not is_gpu(instance_type):
        fix = "Choose a GPU type such as ml.g6.xlarge, or the CPU image."
        yield Pairing("error", "instance_type", f"The image needs a GPU; {instance_type} has none.", fix)
    if _is_cpu_image(image) and is_gpu(instance_type):
        fix = "Choose the GPU image, or a CPU type such as ml.m5.xlarge."
        yield Pairing("warning", "instance_type", f"The image is for CPUs; the GPUs of {instance_type} stay idle.", fix)
    if {"graviton", "arm64"} & _words(image) and not GRAVITON.match(family):
        fix = "Choose a Graviton type such as ml.c7g.xlarge, or the x86 image."
        yield Pairing("error", "instance_type", f"The image is for Arm processors; {instance_type} has another.", fix)
    yield from _cuda_on_gpu(image, instance_type)


def _cuda_on_gpu(image: str, instance_type: str) -> Iterable[Pairing]:
    cuda = cuda_of(image)
    chip = _accelerators()["gpus"].get(_family(instance_type))
    if cuda is None or chip is None:
        return
    if cuda < chip["first_cuda"]:
        fix = f"Choose an image built for CUDA {_dotted(chip['first_cuda'])} or later, or an older instance family."
        text = f"The image is built for CUDA {_dotted(cuda)}, which does not know the {chip['gpu']} of {instance_type}."
        yield Pairing("error", "instance_type", text, fix)
    if cuda > chip.get("last_cuda", cuda):
        fix = f"Choose an image built for CUDA {_dotted(chip['last_cuda'])} or earlier, or a newer instance family."
        text = f"The image is built for CUDA {_dotted(cuda)}, which dropped the {chip['gpu']} of {instance_type}."
        yield Pairing("error", "instance_type", text, fix)


def _ami_on_instance(image: str, ami: str, instance_type: str) -> Iterable[Pairing]:
    facts = _accelerators()
    if ami not in facts["amis"]:
        text = f"There is no inference AMI {ami!r}. There are: {', '.join(amis())}."
        yield Pairing("error", "inference_ami", text, nearest(ami, amis()))
        return
    kind = facts["amis"][ami]["kind"]
    has = "gpu" if is_gpu(instance_type) else "neuron" if NEURON.match(_family(instance_type)) else "cpu"
    if kind != has:
        fix = "Leave `inference_ami` out." if has == "cpu" else f"Leave it out, or choose an AMI for {has} instances."
        yield Pairing("error", "inference_ami", f"{ami} is for {kind} instances; {instance_type} is none.", fix)
        return
    if kind == "neuron":
        return
    yield from _cuda_on_ami(image, ami, instance_type)


def _cuda_on_ami(image: str, ami: str, instance_type: str) -> Iterable[Pairing]:
    facts = _accelerators()
    cuda, driver = cuda_of(image), facts["amis"][ami]["driver"]
    chip = facts["gpus"].get(_family(instance_type), {"driver": 0})
    if driver < chip["driver"]:
        text = f"The driver {driver} of {ami} does not know the {chip['gpu']} of {instance_type}."
        yield Pairing("error", "inference_ami", text, f"It needs driver {chip['driver']} or later.")
    elif cuda is not None and not _reaches(ami, cuda):
        text = f"The image is built for CUDA {_dotted(cuda)}; {ami} has driver {driver}, made for CUDA "
        text += f"{_dotted(facts['amis'][ami]['cuda'])}."
        best = inference_ami(image, instance_type)
        yield Pairing("error", "inference_ami", text, f"Choose `{best}`, or leave it out: it is then chosen for you.")
    elif cuda is not None and cuda // 10 == 12 and driver >= 580 and ami != inference_ami(image, instance_type):
        text = f"Some images built for CUDA 12 do not start on {ami}: they carry an older compatibility library."
        yield Pairing("warning", "inference_ami", text, f"Prefer `{inference_ami(image, instance_type)}`.")


def _dotted(cuda: int) -> str:
    return f"{cuda // 10}.{cuda % 10}"
