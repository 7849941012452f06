"""One botocore session for the whole process: service models are large, so they are loaded once.

The session ignores the user's AWS configuration: a profile, an endpoint or a region set for real AWS must not
leak into the embedded one.
"""

from __future__ import annotations

import os
from functools import cache

import boto3
import botocore.session
from botocore.configprovider import ChainProvider, ConstantProvider
from botocore.model import ServiceModel


@cache
def session() -> botocore.session.Session:
    """The shared session."""
    made = botocore.session.Session()
    values = made.get_component("config_store")
    for variable, value in (("profile", None), ("config_file", os.devnull), ("credentials_file", os.devnull)):
        values.set_config_provider(variable, ChainProvider([ConstantProvider(value)]))
    return made


@cache
def client_maker() -> boto3.Session:
    """A boto3 session on the shared one; made once, because making it registers boto3's hooks there."""
    return boto3.Session(botocore_session=session())


@cache
def service_model(name: str) -> ServiceModel:
    """The model of a service by its botocore name."""
    return session().get_service_model(name)


@cache
def partition_of(region: str) -> str:
    """The partition of a region: ``aws``, ``aws-cn``, ``aws-us-gov`` and so on."""
    return str(session().get_partition_for_region(region))
