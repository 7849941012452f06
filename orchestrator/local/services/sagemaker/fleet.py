"""The processes of one deployment of an endpoint: one supervised model server for each variant."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.local.service import ServiceError
from orchestrator.local.services.sagemaker import storage
from orchestrator.local.services.sagemaker.images import container
from orchestrator.local.store import Key
from orchestrator.local.world import World
from orchestrator.runtime.containers import Container
from orchestrator.runtime.process import is_held, start_supervisor
from orchestrator.runtime.serving.spec import STARTUP_SECONDS, Serving, State

SERVING = "orchestrator.runtime.serving"
REHEARSED_BYTES = 100 * 1024 * 1024
"""Model data of an image that cannot run here is downloaded up to this size, and only looked at above it."""


class DoesNotStart(Exception):
    """A variant cannot serve; the message is the endpoint's FailureReason."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The processes of a deployment, found by their folders."""

    world: World
    endpoint: Key
    number: str
    deployment: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Where all of it lives."""
        return endpoint_folder(self.world, self.endpoint) / self.number

    def folders(self) -> Iterator[tuple[Mapping[str, Any], Path]]:
        """Each variant with its folder."""
        for variant in self.deployment["variants"]:
            yield variant, self.folder / variant["VariantName"]

    def begin(self) -> None:
        """Prepare and start what is not yet; may be called again at any time. Raises DoesNotStart."""
        for variant, folder in self.folders():
            if not (folder / "serving.json").exists():
                self._prepare(variant, folder)
            self._start(variant, folder)

    def ready(self) -> bool:
        """Whether every variant answers; raises DoesNotStart for one that never will."""
        states = [(variant, State.read(folder)) for variant, folder in self.folders()]
        for variant, state in states:
            if state and state.phase == "failed":
                raise DoesNotStart(
                    f"The primary container for production variant {variant['VariantName']} did not pass the ping"
                    f" health check. Please check CloudWatch logs for this endpoint. {state.reason}"
                )
        return all(state and state.phase in ("ready", "restarting") for _, state in states)

    def keep(self) -> dict[str, str]:
        """Start supervisors that have gone; what is wrong now, by variant."""
        troubles = {}
        for variant, folder in self.folders():
            state = State.read(folder)
            if not is_held(folder / "lock") and (folder / "serving.json").exists():
                self._start(variant, folder)
            if state and state.phase != "ready":
                ending = f" after {state.last_exit}" if state.last_exit else ""
                troubles[variant["VariantName"]] = f"The model process is being started again{ending}. {state.reason}"
        return troubles

    def stop(self) -> bool:
        """Ask all processes to end; whether they have."""
        alive = False
        for _, folder in self.folders():
            if is_held(folder / "lock"):
                (folder / "stop").touch()
                alive = True
        return not alive

    def remove(self) -> None:
        """Forget the folders of a fleet that has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def rehearsals(self) -> list[str]:
        """Why variants are only rehearsed; empty when all images run."""
        programs = [self._container(variant) for variant in self.deployment["variants"]]
        return [f"{program.image} cannot run here: {program.reason}" for program in programs if not program.runs]

    def logs(self) -> Iterator[tuple[str, Path]]:
        """The log stream and the file of each variant."""
        for variant, folder in self.folders():
            identity = f"{self.endpoint}/{self.number}/{variant['VariantName']}"
            instance = hashlib.sha256(identity.encode()).hexdigest()[:17]
            yield f"{variant['VariantName']}/i-{instance}", folder / "serve.log"

    def _container(self, variant: Mapping[str, Any]) -> Container:
        try:
            return container(self.world, variant["model"]["image"], "serve")
        except ServiceError as error:
            raise DoesNotStart(error.message) from error

    def _start(self, variant: Mapping[str, Any], folder: Path) -> None:
        state = State.read(folder)
        if is_held(folder / "lock") or (state and state.phase == "failed"):
            return
        (folder / "stop").unlink(missing_ok=True)
        if state:  # what the dead supervisor said of its port is true no more
            State("starting", restarts=state.restarts, last_exit=state.last_exit).write(folder)
        credentials = self.world.child_environment(variant["role"], self.endpoint.region, "SageMaker")
        start_supervisor(SERVING, folder, credentials)

    def _prepare(self, variant: Mapping[str, Any], folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        program = self._container(variant)
        model = variant["model"]
        self._download(variant, folder, program)
        Serving(
            name=f"{self.endpoint.name}/{variant['VariantName']}",
            image=program.image,
            kind=program.kind,
            tag=program.tag,
            command=list(program.argv),
            environment=model["environment"],
            reason=program.reason,
            startup_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS),
        ).write(folder)

    def _download(self, variant: Mapping[str, Any], folder: Path, program: Container) -> None:
        model = variant["model"]
        s3 = self.world.client("s3", self.endpoint.account, self.endpoint.region, variant["role"])
        seconds = variant.get("ModelDataDownloadTimeoutInSeconds", 0)
        deadline = time.monotonic() + seconds if seconds else 0.0
        uri = model.get("object") or model.get("prefix", "")
        try:
            if not program.runs and uri and _size(s3, uri) > REHEARSED_BYTES:
                return
            if "object" in model:
                storage.fetch(s3, model["object"], folder / "model.tar.gz", deadline)
            elif "prefix" in model:
                storage.fetch_prefix(s3, model["prefix"], folder / "ml/model", deadline)
            source = model["environment"].get("SAGEMAKER_SUBMIT_DIRECTORY", "")
            if source.startswith("s3://"):
                storage.fetch(s3, source, folder / "source.tar.gz", deadline)
        except storage.TooSlow:
            raise DoesNotStart(
                f"Model data download for variant {variant['VariantName']} did not complete within {seconds} seconds."
            ) from None
        except storage.NotThere as error:
            raise DoesNotStart(
                f'Failed to download model data for container "container_1" from URL: "{error.uri}". Please ensure that'
                " there is an object located at the URL and that the role passed to CreateModel has permissions to"
                f" download the object. {error.detail}"
            ) from error


def endpoint_folder(world: World, key: Key) -> Path:
    """Where the deployments of an endpoint live."""
    return world.home / "jobs" / key.account / key.region / "endpoint" / key.name


def _size(s3: Any, uri: str) -> int:
    return sum(int(item["Size"]) for item in storage.objects(s3, uri))
