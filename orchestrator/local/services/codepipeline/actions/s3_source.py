"""Source/S3: takes the newest version of an object, https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.local.services.codepipeline.action import HOUR, Action, ActionFailed, Success

if TYPE_CHECKING:
    from orchestrator.local.services.codepipeline.work import Work


class S3Source(Action):
    """The bucket must be versioned: the version is the revision."""

    category = "Source"
    provider = "S3"
    required = frozenset({"S3Bucket", "S3ObjectKey"})
    optional = frozenset({"PollForSourceChanges", "AllowOverrideForS3ObjectKey"})
    outputs = (1, 1)
    timeout = HOUR

    def advance(self, work: Work) -> float | Success:
        bucket = work.configuration["S3Bucket"]
        key = work.source_revision.get("S3_OBJECT_KEY", work.configuration["S3ObjectKey"])
        s3 = work.client("s3")
        version = work.memory.get("version") or work.source_revision.get("S3_OBJECT_VERSION_ID")
        more = {"VersionId": version} if version else {}
        answer = s3.get_object(Bucket=bucket, Key=key, **more)
        version = answer.get("VersionId")
        if not version or version == "null":
            raise ActionFailed(f"The S3 bucket {bucket} is not versioned.", "ConfigurationError")
        work.remember(version=version)  # so that a repeated step takes the same one
        work.write(next(iter(work.outputs)), answer["Body"].read())
        return Success(
            summary=f"Amazon S3 version id: {version}",
            external=version,
            variables={"BucketName": bucket, "ObjectKey": key, "VersionId": version, "ETag": answer["ETag"].strip('"')},
            revision={
                "name": next(iter(work.outputs)),
                "revisionId": version,
                "revisionSummary": f"Amazon S3 version id: {version}",
                "created": answer["LastModified"].timestamp(),
            },
        )


ACTION = S3Source
