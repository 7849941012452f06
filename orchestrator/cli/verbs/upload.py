"""Put data into the assets bucket, where a config's keys are looked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli import target, uploading
from orchestrator.cli.console import Console
from orchestrator.errors import AwsFailed

SUMMARY = "put data into the assets bucket"


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a file, or a folder: then everything in it, under the same names")
    parser.add_argument("--to", default="", metavar="KEY", help="folder in the bucket, or the key of a single file")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import ClientError

    files = uploading.keys(Path(arguments.source), arguments.to)
    found = target.find(arguments, console)
    bucket = found.settings().assets_bucket
    done = []
    try:
        for key in uploading.upload(found.client("s3"), bucket, files):
            done.append({"key": key, "bytes": files[key].stat().st_size, "uri": f"s3://{bucket}/{key}"})
            console.say(f"s3://{bucket}/{key}")
    except (ClientError, S3UploadFailedError) as error:
        cause = error if isinstance(error, ClientError) else error.__context__
        told = cause.response["Error"] if isinstance(cause, ClientError) else {}
        raise AwsFailed(
            told.get("Code", "S3UploadFailed"),
            told.get("Message", str(error)),
            hint=f"{len(done)} of {len(files)} files are there; the same command puts them all again.",
        ) from error
    console.data(done, f"{len(done)} file{'' if len(done) == 1 else 's'} in s3://{bucket}.")
    return 0
