"""What happens to a build after it was started: one persisted step after another."""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.local.services.sagemaker.logs import LogShipper
from orchestrator.local.store import Document, Key
from orchestrator.local.world import World
from orchestrator.runtime.building.job import Exit, Job, Phase, read_phases
from orchestrator.runtime.process import is_held, start_supervisor

TASK = "codebuild.build"
POLL_SECONDS = 0.2
LARGEST_SOURCE_BYTES = 2 * 1024**3
SETTINGS = "builds.json"
SOURCE = "aws.codebuild"
STATE_CHANGE = "CodeBuild Build State Change"
LOGGER = logging.getLogger(__name__)


class CannotBegin(Exception):
    """There is no source, no buildspec or no log: a status code of CodeBuild, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BuildLife:
    """The step of builds' tasks. It may be killed anywhere and begins again from the document and the folder."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._logs = LogShipper(world)
        self._unheard: set[Key] = set()

    def folder(self, key: Key) -> Path:
        """Where the build runs."""
        return self._world.home / "jobs" / key.account / key.region / "builds" / key.name.replace(":", "-")

    def step(self, key: Key) -> float | None:
        """Bring the build one step further."""
        document = self._world.store.get(key)
        if document is None:
            shutil.rmtree(self.folder(key), ignore_errors=True)
            return None
        if document["untold"]:
            self._tell(key, document)
            return 0.0
        if document["buildComplete"]:
            shutil.rmtree(self.folder(key), ignore_errors=True)
            return None
        ended = Exit.read(self.folder(key))
        if ended is not None:
            self._conclude(key, document, ended)
            return 0.0
        return self._watch(key, document) if "prepared" in document else self._prepare(key, document)

    # ---- before ----

    def _prepare(self, key: Key, document: Document) -> float:
        """Fetch the source; nothing runs yet, so all of it may be done again."""
        begun = self._world.now()
        before = [*(_ended(phase, begun) for phase in document["phases"]), ended_phase("PROVISIONING", begun, begun)]
        if document.get("stopping"):
            self._over(key, before, "STOPPED")
            return 0.0
        folder = self.folder(key)
        try:
            self._open_log(key, document)
            version = self._fetch(key, document, folder)
            job = self._job(document, folder)
        except CannotBegin as problem:
            now = self._world.now()
            failed = ended_phase("DOWNLOAD_SOURCE", begun, now, "FAILED", problem.code, str(problem))
            self._over(key, [*before, failed], "FAILED")
            return 0.0
        job.write(folder)
        phases = [*before, ended_phase("DOWNLOAD_SOURCE", begun, self._world.now())]
        resolved = {"resolvedSourceVersion": version} if version else {}
        self._world.store.patch(key, prepared=phases, phases=phases, currentPhase="INSTALL", **resolved)
        return 0.0

    def _open_log(self, key: Key, document: Document) -> None:
        """Make the log stream as the project's role, as AWS does. Raises CannotBegin when the role may not."""
        where = document["logs"]
        if "groupName" not in where:
            return
        client = self._world.client("logs", key.account, key.region, document["serviceRole"])
        group, stream = {"logGroupName": where["groupName"]}, {"logStreamName": where["streamName"]}
        try:
            try:
                client.create_log_stream(**group, **stream)
            except client.exceptions.ResourceNotFoundException:
                client.create_log_group(**group)
                client.create_log_stream(**group, **stream)
        except client.exceptions.ResourceAlreadyExistsException:
            return
        except ClientError as error:
            text = (
                f"ACCESS_DENIED: Service role {document['serviceRole']} does not allow AWS CodeBuild to create Amazon"
                f" CloudWatch Logs log streams for build {document['arn']}. Error message: {error}"
            )
            raise CannotBegin("ACCESS_DENIED", text) from error

    def _fetch(self, key: Key, document: Document, folder: Path) -> str:
        """Unpack the source; its version. Raises CannotBegin."""
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "src").mkdir(parents=True)
        source = document["source"]
        if source["type"] == "NO_SOURCE":
            return ""
        location = source["location"].removeprefix("arn:aws:s3:::")
        bucket, _, name = location.partition("/")
        version = {"VersionId": document["sourceVersion"]} if document.get("sourceVersion") else {}
        s3 = self._world.client("s3", key.account, key.region, document["serviceRole"])
        try:
            answer = s3.get_object(Bucket=bucket, Key=name, **version)
        except ClientError as error:
            text = error.response["Error"]
            message = f"{text['Code']}: {text.get('Message', '')} for primary source and source version {version}"
            raise CannotBegin("CLIENT_ERROR", message) from error
        archive = folder / "source.zip"
        with archive.open("wb") as file:
            shutil.copyfileobj(answer["Body"], file)
        _unpack(archive, folder / "src", location)
        return str(answer.get("VersionId", ""))

    def _job(self, document: Document, folder: Path) -> Job:
        given = document["source"].get("buildspec", "")
        if "\n" in given:
            text = given
        else:
            file = folder / "src" / (given or "buildspec.yml")
            if not file.resolve().is_relative_to((folder / "src").resolve()) or not file.is_file():
                raise CannotBegin("YAML_FILE_ERROR", f"YAML file does not exist: {given or 'buildspec.yml'}")
            text = file.read_text(errors="replace")
        variables = document["environment"].get("environmentVariables", [])
        settings = read_settings(self._world.home / SETTINGS)
        return Job(
            buildspec=text,
            environment={**{one["name"]: one["value"] for one in variables}, **_about(document)},
            timeout_seconds=document["timeoutInMinutes"] * 60.0,
            rehearse=settings["rehearse"],
            engine=settings["engine"],
        )

    # ---- meanwhile and afterwards ----

    def _watch(self, key: Key, document: Document) -> float:
        folder = self.folder(key)
        if document.get("stopping"):
            (folder / "stop").touch()
        if not is_held(folder / "lock"):
            credentials = self._world.child_environment(document["serviceRole"], key.region, "CodeBuild")
            start_supervisor("orchestrator.runtime.building", folder, credentials)
        self._ship(key, document, final=False)
        phases = [*document["prepared"], *map(_shown_phase, read_phases(folder))]
        if phases != document["phases"]:
            self._world.store.patch(key, phases=phases, currentPhase=phases[-1]["phaseType"])
        return POLL_SECONDS

    def _ship(self, key: Key, document: Document, *, final: bool) -> None:
        """Bring the log on, with the rights of the project's role: without them the build goes on and is not heard."""
        where = document["logs"]
        if "groupName" not in where:
            return
        place = (key.account, key.region, where["groupName"], where["streamName"])
        if key not in self._unheard:
            try:
                self._logs.ship(*place, self.folder(key) / "build.log", final=final, role=document["serviceRole"])
            except ClientError as problem:
                self._unheard.add(key)
                LOGGER.warning("the log of %s is lost: %s", document["arn"], problem)
        if final:
            self._logs.forget(*place)
            self._unheard.discard(key)

    def _conclude(self, key: Key, document: Document, ended: Exit) -> None:
        self._ship(key, document, final=True)
        phases = [*document["prepared"], *map(_shown_phase, read_phases(self.folder(key)))]
        exported = [{"name": name, "value": value} for name, value in ended.exported.items()]
        self._over(key, phases, ended.status, exportedEnvironmentVariables=exported)

    def _over(self, key: Key, phases: list[Document], status: str, **members: Any) -> None:
        now = self._world.now()
        ending = [ended_phase("FINALIZING", now, now), {"phaseType": "COMPLETED", "startTime": now}]
        self._world.store.update(
            key,
            lambda document: {
                **document,
                "phases": [*phases, *ending],
                "currentPhase": "COMPLETED",
                "buildStatus": status,
                "buildComplete": True,
                "endTime": now,
                "untold": [*document["untold"], status],
                **members,
            },
        )

    def _tell(self, key: Key, document: Document) -> None:
        """Send the oldest event, then forget it; a crash between the two sends it again, as EventBridge may.

        Source: https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications.html
        """
        detail = {
            "build-status": document["untold"][0],
            "project-name": document["projectName"],
            "build-id": document["arn"],
            "current-phase": document["currentPhase"],
            "current-phase-context": "[: ]",
            "additional-information": {
                "build-number": document["buildNumber"],
                "build-complete": document["buildComplete"],
                "timeout-in-minutes": document["timeoutInMinutes"],
                "build-start-time": document["startTime"],
            },
            "version": "1",
        }
        self._world.emit(key.account, key.region, SOURCE, STATE_CHANGE, detail, [document["arn"]])
        self._world.store.update(key, lambda kept: {**kept, "untold": kept["untold"][1:]})


def read_settings(path: Path) -> dict[str, Any]:
    """``builds.json`` of the home: ``engine`` (``auto`` or ``none``) and ``rehearse`` (globs of images).

    Raises CannotBegin when it is something else.
    """
    found: dict[str, Any] = {"engine": "auto", "rehearse": []}
    if path.exists():
        try:
            given = json.loads(path.read_text())
            found |= given
            wrong = set(given) - {"engine", "rehearse"}
            if wrong or found["engine"] not in ("auto", "none") or not isinstance(found["rehearse"], list):
                raise ValueError(given)
        except (ValueError, TypeError) as error:
            text = f'{path} must be {{"engine": "auto" or "none", "rehearse": ["<image glob>", ...]}}: {error}'
            raise CannotBegin("INTERNAL_SERVICE_ERROR", text) from error
    return found


def _unpack(archive: Path, target: Path, location: str) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            if sum(member.file_size for member in opened.infolist()) > LARGEST_SOURCE_BYTES:
                raise CannotBegin("CLIENT_ERROR", f"{location} holds more than {LARGEST_SOURCE_BYTES} bytes")
            for member in opened.infolist():
                path = Path(opened.extract(member, target))  # keeps names such as ../x inside the target
                if path.is_file():
                    path.chmod(0o755 if (member.external_attr >> 16) & 0o100 else 0o644)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as problem:
        raise CannotBegin("CLIENT_ERROR", f"{location} is not a zip that can be unpacked: {problem}") from problem
    archive.unlink()


def _about(document: Mapping[str, Any]) -> dict[str, str]:
    """The variables in which a build finds itself.

    Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html
    """
    return {
        "CODEBUILD_BUILD_ID": document["id"],
        "CODEBUILD_BUILD_ARN": document["arn"],
        "CODEBUILD_BUILD_NUMBER": str(document["buildNumber"]),
        "CODEBUILD_BUILD_IMAGE": document["environment"]["image"],
        "CODEBUILD_KMS_KEY_ID": document["encryptionKey"],
        "CODEBUILD_LOG_PATH": document["logs"].get("streamName", ""),
        "CODEBUILD_SOURCE_REPO_URL": document["source"].get("location", ""),
        "CODEBUILD_SOURCE_VERSION": document.get("sourceVersion", ""),
        "CODEBUILD_START_TIME": str(int(document["startTime"] * 1000)),
    }


def ended_phase(
    name: str, started: float, ended: float, status: str = "SUCCEEDED", code: str = "", message: str = ""
) -> Document:
    """A phase that is over, as BatchGetBuilds shows it."""
    context = {"statusCode": code, "message": message}
    about = {"phaseType": name, "phaseStatus": status, "startTime": started, "endTime": ended}
    return {**about, "durationInSeconds": int(ended - started), "contexts": [context]}


def _ended(phase: Document, now: float) -> Document:
    return phase if "endTime" in phase else ended_phase(phase["phaseType"], phase["startTime"], now)


def _shown_phase(phase: Phase) -> Document:
    if not phase.status:
        return {"phaseType": phase.name, "startTime": phase.started}
    return ended_phase(phase.name, phase.started, phase.ended, phase.status, phase.code, phase.message)
