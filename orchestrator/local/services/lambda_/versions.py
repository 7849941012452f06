"""Published versions, which never change, and aliases, which point to them."""

from __future__ import annotations

from orchestrator.local.service import Call, ServiceError
from orchestrator.local.services.lambda_.directory import Directory, Parameters, page
from orchestrator.local.services.lambda_.functions import (
    LATEST,
    Target,
    changed,
    configuration,
    function_arn,
    version_key,
)
from orchestrator.local.store import Document, Key


class Versions(Directory):
    """The operations on versions and aliases."""

    def PublishVersion(self, call: Call, parameters: Parameters) -> Parameters:
        return self._publish(self._existing(call, parameters), parameters)

    def _publish(self, key: Key, parameters: Parameters) -> Parameters:
        with self.store.transaction():
            function = self.store.get(key)
            assert function is not None
            latest = function["Configuration"]
            if parameters.get("CodeSha256") not in (None, latest["CodeSha256"]):
                text = "CodeSHA256 is different from current CodeSHA256 in $LATEST."
                raise ServiceError("InvalidParameterValueException", text)
            published = self._versions(key)
            if published and published[-1][1]["Of"] == latest["RevisionId"]:  # nothing has changed since
                unchanged: Parameters = published[-1][1]["Configuration"]
                return unchanged
            number = str(function["NextVersion"])
            snapshot = changed(latest, {k: parameters[k] for k in ("Description",) if k in parameters})
            snapshot |= {"Version": number, "FunctionArn": f"{latest['FunctionArn']}:{number}"}
            self.store.put(version_key(key, number), {"Configuration": snapshot, "Of": latest["RevisionId"]})
            self.store.patch(key, NextVersion=function["NextVersion"] + 1)
        return snapshot

    def ListVersionsByFunction(self, call: Call, parameters: Parameters) -> Parameters:
        key = self._existing(call, parameters)
        latest, arn = configuration(self.store, Target(key, LATEST))
        versions = [{**latest, "FunctionArn": arn}, *(each["Configuration"] for _, each in self._versions(key))]
        listed, marker = page(versions, parameters)
        return {"Versions": listed, **marker}

    def _versions(self, key: Key) -> list[tuple[Key, Document]]:
        return self.store.list(self.name, "Version", key.account, key.region, prefix=f"{key.name}:")

    def CreateAlias(self, call: Call, parameters: Parameters) -> Parameters:
        return self._put_alias(self._existing(call, parameters), parameters, new=True)

    def UpdateAlias(self, call: Call, parameters: Parameters) -> Parameters:
        return self._put_alias(self._existing(call, parameters), parameters, new=False)

    def _put_alias(self, key: Key, parameters: Parameters, *, new: bool) -> Parameters:
        if parameters.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            text = "The embedded AWS does not support RoutingConfig of an alias"
            raise ServiceError("InvalidParameterValueException", text)
        name = parameters["Name"]
        with self.store.transaction():
            function = self.store.get(key) or {}
            existing = function["Aliases"].get(name)
            arn = f"{function_arn(key)}:{name}"
            if new and existing:
                raise ServiceError("ResourceConflictException", f"Alias already exists: {arn}", 409)
            if not new and not existing:
                raise ServiceError("ResourceNotFoundException", f"Alias not found: {arn}", 404)
            given = {field: parameters[field] for field in ("FunctionVersion", "Description") if field in parameters}
            alias = {"Description": "", **(existing or {}), **given, "Name": name, "AliasArn": arn}
            configuration(self.store, Target(key, alias["FunctionVersion"]))
            function["Aliases"][name] = alias
            self.store.put(key, function)
        return alias

    def GetAlias(self, call: Call, parameters: Parameters) -> Parameters:
        key = self._existing(call, parameters)
        alias: Parameters | None = (self.store.get(key) or {})["Aliases"].get(parameters["Name"])
        if alias is None:
            arn = f"{function_arn(key)}:{parameters['Name']}"
            raise ServiceError("ResourceNotFoundException", f"Alias not found: {arn}", 404)
        return alias

    def ListAliases(self, call: Call, parameters: Parameters) -> Parameters:
        aliases = (self.store.get(self._existing(call, parameters)) or {})["Aliases"].values()
        version = parameters.get("FunctionVersion")
        wanted = [alias for alias in aliases if version in (None, alias["FunctionVersion"])]
        listed, marker = page(wanted, parameters)
        return {"Aliases": listed, **marker}

    def DeleteAlias(self, call: Call, parameters: Parameters) -> Parameters:
        def remove(function: Document) -> None:
            function["Aliases"].pop(parameters["Name"], None)

        self.store.update(self._existing(call, parameters), remove)
        return {}
