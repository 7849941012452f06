"""The ``SM_*`` variables of script mode, as the ``sagemaker-training`` toolkit exports them.

Source: https://github.com/aws/sagemaker-training-toolkit (ENVIRONMENT_VARIABLES.md); a test compares with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from orchestrator.runtime.training.job import Job, decoded
from orchestrator.runtime.training.layout import GROUP, HOST, container_hyperparameters, resource_config

TOOLKIT_PARAMETERS = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_region",
    "sagemaker_s3_output",
    "sagemaker_default_invocations_accept",
}
"""Hyperparameters of the toolkit itself; other names with its prefix are the framework's."""
PREFIX = "sagemaker_"
DISTRIBUTED = ("mpi", "parameter_server", "distributed_dataparallel", "pytorch_ddp", "torch_distributed")


def script_environment(job: Job, base: str) -> tuple[dict[str, str], list[str]]:
    """The variables and the arguments of the user's script, whose ``/opt/ml`` is at ``base``."""
    parameters = {name: decoded(text) for name, text in container_hyperparameters(job, base).items()}
    user = {name: value for name, value in parameters.items() if not name.startswith(PREFIX)}
    framework = {
        name: value for name, value in parameters.items() if name.startswith(PREFIX) and name not in TOOLKIT_PARAMETERS
    }
    arguments = command_arguments(user)
    channels = {name: f"{base}/input/data/{name}" for name in job.channels}
    values = {
        **_cluster(job, framework),
        **_folders(base),
        "hps": user,
        "user_entry_point": job.script,
        "framework_params": framework,
        "input_data_config": dict(job.channels),
        "channels": sorted(job.channels),
        "module_name": job.script.removesuffix(".py"),
        "module_dir": f"{base}/code",
        "log_level": int(parameters.get("sagemaker_container_log_level", 20)),
        "framework_module": "",
        "user_args": arguments,
        **{f"channel_{name}": path for name, path in channels.items()},
        **{f"hp_{name}": value for name, value in user.items()},
    }
    values["training_env"] = _training_environment(job, values, channels, user, framework)
    return {f"SM_{name.upper()}": _text(value) for name, value in values.items()}, arguments


def command_arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Hyperparameters as a script's command line: sorted, ``--name value`` or ``-n value``."""
    arguments: list[str] = []
    for name in sorted(hyperparameters):
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(hyperparameters[name])]
    return arguments


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in sorted(value.items()))
    return "" if value is None else str(value)


def _cluster(job: Job, framework: Mapping[str, Any]) -> dict[str, Any]:
    resources = resource_config(job)
    distributed = any(framework.get(f"sagemaker_{kind}_enabled") for kind in DISTRIBUTED)
    return {
        "hosts": [HOST],
        "current_host": HOST,
        "current_instance_type": job.instance_type,
        "current_instance_group": GROUP,
        "current_instance_group_hosts": [HOST],
        "instance_groups": [GROUP],
        "instance_groups_dict": {GROUP: resources["instance_groups"][0]},
        "distribution_instance_groups": [GROUP] if distributed else [],
        "is_hetero": False,
        "network_interface_name": "lo",
        "resource_config": resources,
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "num_neurons": 0,
        "master_addr": HOST,
        "master_port": 7777,
    }


def _folders(base: str) -> dict[str, str]:
    return {
        "input_dir": f"{base}/input",
        "input_config_dir": f"{base}/input/config",
        "output_dir": f"{base}/output",
        "output_data_dir": f"{base}/output/data",
        "output_intermediate_dir": f"{base}/output/intermediate",
        "model_dir": f"{base}/model",
    }


def _training_environment(
    job: Job,
    values: Mapping[str, Any],
    channels: Mapping[str, str],
    user: Mapping[str, Any],
    framework: Mapping[str, Any],
) -> dict[str, Any]:
    """``SM_TRAINING_ENV``: the same facts once more, as one object."""
    shared = (
        "current_host current_instance_group current_instance_group_hosts current_instance_type"
        " distribution_instance_groups hosts input_config_dir input_data_config input_dir instance_groups"
        " instance_groups_dict is_hetero log_level model_dir module_dir module_name network_interface_name num_cpus"
        " num_gpus num_neurons output_data_dir output_dir output_intermediate_dir resource_config user_entry_point"
    )
    return {
        **{name: values[name] for name in shared.split()},
        "additional_framework_parameters": dict(framework),
        "channel_input_dirs": dict(channels),
        "distribution_hosts": [HOST] if values["distribution_instance_groups"] else [],
        "framework_module": None,
        "hyperparameters": dict(user),
        "is_master": True,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": job.name,
        "master_hostname": HOST,
        "topology": [],
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))
