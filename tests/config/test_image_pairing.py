"""Which image runs on which machine with which driver."""

from __future__ import annotations

import re

import pytest

from orchestrator.images import amis, cuda_of, frameworks, image_uri, inference_ami, is_gpu, pairing_problems

ECR = "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
V21, V31, V41 = (
    "al2-ami-sagemaker-inference-gpu-2-1",
    "al2-ami-sagemaker-inference-gpu-3-1",
    "al2023-ami-sagemaker-inference-gpu-4-1",
)
NEURON = "al2-ami-sagemaker-inference-neuron-2"


@pytest.mark.parametrize(
    "image, cuda",
    [
        ("djl-inference:0.38.0-lmi29.0.0-cu130", 130),
        ("vllm:0.30.0-gpu-py312-cu130-ubuntu24.04-sagemaker", 130),
        ("vllm:server-sagemaker-cuda-v2.6", 130),
        ("vllm:server-sagemaker-cuda-v2", 130),
        ("vllm:server-sagemaker-cuda-v1.4", 129),
        ("sglang:server-sagemaker-cuda-v1.3", 130),
        ("pytorch-inference:2.6.0-gpu-py312", 124),
        ("pytorch-inference:2.3-gpu-py311", 121),
        ("pytorch-inference:2.6.0-cpu-py312", None),
        ("tensorflow-inference:2.19-gpu", 122),
        ("sagemaker-tritonserver:26.05-py3", 130),
        ("sagemaker-tritonserver:24.05-py3", 124),
        ("sagemaker-tritonserver:26.05-py3-cpu", None),
        ("tei:2.0.1-tei1.8.2-gpu-py310-cu122-ubuntu22.04", 122),
        ("mine:1.0-cuda12.4-runtime", 124),
        ("mine:cu92", 92),
        ("mine:cuda12", 120),
        ("mine:py3.11-cuda-13.0.2", 130),
        ("acute:13", None),
        ("sagemaker-xgboost:1.7-1", None),
        ("mine@sha256:" + "0" * 64, None),
    ],
)
def test_cuda_of_an_image(image: str, cuda: int | None) -> None:
    assert cuda_of(ECR + image) == cuda


@pytest.mark.parametrize(
    "instance_type, gpu",
    [
        ("ml.g6.xlarge", True), ("ml.g6e.xlarge", True), ("ml.p5.48xlarge", True), ("ml.p6-b200.48xlarge", True),
        ("ml.m5.large", False), ("ml.c6g.large", False), ("ml.inf2.xlarge", False), ("ml.trn1.2xlarge", False),
        ("", False), (None, False), ("g6.xlarge", False),
    ],
)  # fmt: skip
def test_which_instances_have_gpus(instance_type: str | None, gpu: bool) -> None:
    assert is_gpu(instance_type) is gpu


@pytest.mark.parametrize(
    "image, instance_type, ami",
    [
        ("djl-inference:0.38.0-lmi29.0.0-cu130", "ml.g6e.12xlarge", V41),
        ("djl-inference:0.35.0-lmi17.0.0-cu128", "ml.g6e.12xlarge", V31),
        ("djl-inference:0.35.0-lmi17.0.0-cu128", "ml.g7e.2xlarge", V41),
        ("pytorch-inference:2.6.0-gpu-py312", "ml.g6.xlarge", V31),
        ("tei:2.0.1-tei1.8.2-gpu-py310-cu122-ubuntu22.04", "ml.g5.xlarge", V21),
        ("mine:cu118", "ml.p4d.24xlarge", V21),
        ("mine:latest", "ml.g5.xlarge", None),
        ("djl-inference:0.38.0-lmi29.0.0-cu130", "ml.m5.large", None),
    ],
)
def test_the_ami_that_is_chosen(image: str, instance_type: str, ami: str | None) -> None:
    assert inference_ami(ECR + image, instance_type) == ami
    assert not [each for each in pairing_problems(ECR + image, ami, instance_type) if is_gpu(instance_type)]


@pytest.mark.parametrize(
    "image, ami, instance_type, severity, argument, said",
    [
        ("mine:cu130", None, "ml.m5.large", "error", "instance_type", "needs a GPU"),
        ("pytorch-inference:1.0-gpu-py3", None, "ml.m5.large", "error", "instance_type", "needs a GPU"),
        ("pytorch-inference:2.6.0-cpu-py312", None, "ml.g5.xlarge", "warning", "instance_type", "stay idle"),
        ("mine:cu130", V31, "ml.g6.xlarge", "error", "inference_ami", "driver 550, made for CUDA 12.4"),
        ("mine:cu124", V21, "ml.g6.xlarge", "error", "inference_ami", "driver 535, made for CUDA 12.2"),
        ("mine:cu124", V41, "ml.g6.xlarge", "warning", "inference_ami", "do not start"),
        ("mine:cu128", V31, "ml.g7e.2xlarge", "error", "inference_ami", "does not know the NVIDIA RTX PRO 6000"),
        ("mine:cu130", None, "ml.p3.2xlarge", "error", "instance_type", "dropped the NVIDIA V100"),
        ("mine:cu124", None, "ml.p6-b200.48xlarge", "error", "instance_type", "does not know the NVIDIA B200"),
        ("mine:cu113", None, "ml.p5.48xlarge", "error", "instance_type", "does not know the NVIDIA H100"),
        ("mine:1", V31, "ml.m5.large", "error", "inference_ami", "for gpu instances; ml.m5.large is none"),
        ("mine:1", V31, "ml.inf2.xlarge", "error", "inference_ami", "for gpu instances"),
        ("mine:1", NEURON, "ml.g5.xlarge", "error", "inference_ami", "for neuron instances"),
        ("mine:1", "al2-gpu", "ml.g5.xlarge", "error", "inference_ami", "There is no inference AMI"),
        ("huggingface-pytorch-inference-neuronx:2.1", None, "ml.g5.xlarge", "error", "instance_type", "AWS Neuron"),
        ("mine:cu124", None, "ml.inf2.xlarge", "error", "instance_type", "needs a GPU"),
        ("pytorch-inference-arm64:2.6-cpu-py312", None, "ml.m5.large", "error", "instance_type", "Arm processors"),
    ],
)
def test_what_does_not_go_together(
    image: str, ami: str | None, instance_type: str, severity: str, argument: str, said: str
) -> None:
    found = pairing_problems(ECR + image, ami, instance_type)
    assert [(each.severity, each.argument) for each in found] == [(severity, argument)], found
    assert said in found[0].message
    assert found[0].fix or argument == "inference_ami"


@pytest.mark.parametrize(
    "image, ami, instance_type",
    [
        ("mine:latest", None, "ml.g5.xlarge"),
        ("mine:latest", V41, "ml.g5.xlarge"),
        ("sagemaker-xgboost:1.7-1", None, "ml.g5.xlarge"),
        ("mine:cu122", V31, "ml.g5.xlarge"),
        ("huggingface-pytorch-inference-neuronx:2.1", NEURON, "ml.inf2.xlarge"),
        ("pytorch-inference-arm64:2.6-cpu-py312", None, "ml.c7g.large"),
    ],
)
def test_what_goes_together(image: str, ami: str | None, instance_type: str) -> None:
    assert pairing_problems(ECR + image, ami, instance_type) == []


@pytest.mark.parametrize("framework", ["vllm", "vllm-server", "sglang-server", "djl-lmi", "huggingface-tei"])
def test_the_newest_gpu_images_are_understood(framework: str) -> None:
    assert framework in frameworks("inference")
    version = {"vllm": "0.30.0", "vllm-server": "2.6", "sglang-server": "1.4", "djl-lmi": "0.38.0"}.get(
        framework, "1.8.2"
    )
    uri = image_uri(framework, version, "us-east-1", scope="inference", instance_type="ml.g6.xlarge")
    ami = inference_ami(uri, "ml.g6.xlarge")
    assert ami in amis()
    assert pairing_problems(uri, ami, "ml.g6.xlarge") == []
    assert re.search("gpu-(2|3|4)-1$", str(ami))
