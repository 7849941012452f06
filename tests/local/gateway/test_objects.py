"""S3 over our server: what HTTP itself has to carry right."""

from __future__ import annotations

import io
import threading

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError


@pytest.fixture
def s3(aws):
    client = aws.client("s3")
    client.create_bucket(Bucket="bucket")
    return client


def test_lengths_and_headers(s3):
    metadata = {"a_b": "c", "d-e": "f"}
    s3.put_object(Bucket="bucket", Key="k", Body=b"x" * 50_000, ContentType="text/csv", Metadata=metadata)
    head = s3.head_object(Bucket="bucket", Key="k")
    assert (head["ContentLength"], head["ContentType"]) == (50_000, "text/csv")
    assert head["Metadata"] == metadata
    s3.put_object(Bucket="bucket", Key="empty", Body=b"")
    assert s3.head_object(Bucket="bucket", Key="empty")["ContentLength"] == 0
    assert s3.get_object(Bucket="bucket", Key="empty")["Body"].read() == b""


def test_parts_of_objects(s3):
    s3.put_object(Bucket="bucket", Key="k", Body=bytes(range(256)) * 100)
    part = s3.get_object(Bucket="bucket", Key="k", Range="bytes=250-259")
    assert part["Body"].read() == bytes([*range(250, 256), *range(4)])
    assert part["ContentRange"] == "bytes 250-259/25600"


def test_what_is_not_there(s3):
    with pytest.raises(ClientError) as caught:
        s3.head_object(Bucket="bucket", Key="nothing")
    assert caught.value.response["Error"]["Code"] == "404"
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="bucket", Key="nothing")
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket="nowhere")
    assert caught.value.response["Error"]["Code"] == "404"


def test_not_modified(s3):
    etag = s3.put_object(Bucket="bucket", Key="k", Body=b"1")["ETag"]
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="bucket", Key="k", IfNoneMatch=etag)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"1"  # on the same connection


@pytest.mark.parametrize("key", ["a b", "a+b", "é/日本", "a//b", "a%2Fb", "folder/", "?&=#", "a'b\"c", "~.-_!*()"])
def test_keys_of_every_kind(s3, key):
    s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
    assert s3.get_object(Bucket="bucket", Key=key)["Body"].read() == key.encode()
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="bucket")["Contents"]] == [key]
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": key}]})
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0


def test_multipart_uploads_from_many_threads(aws, s3):
    content = bytes(range(256)) * 50_000
    configuration = TransferConfig(multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(content), "bucket", "big", Config=configuration)
    aws.restart()
    found = io.BytesIO()
    aws.client("s3").download_fileobj("bucket", "big", found, Config=configuration)
    assert found.getvalue() == content


def test_an_upload_that_is_under_way_goes_on_after_a_restart(aws, s3):
    upload = s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"]
    first = s3.upload_part(Bucket="bucket", Key="k", UploadId=upload, PartNumber=1, Body=b"x" * 5 * 1024**2)
    aws.restart()
    s3 = aws.client("s3")
    second = s3.upload_part(Bucket="bucket", Key="k", UploadId=upload, PartNumber=2, Body=b"y")
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["ETag"]}]
    s3.complete_multipart_upload(Bucket="bucket", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.head_object(Bucket="bucket", Key="k")["ContentLength"] == 5 * 1024**2 + 1


def test_readers_and_writers_at_once(aws, s3):
    """moto walks through dictionaries that others change; nobody may notice."""
    failed = []

    def write(number):
        for count in range(25):
            s3.put_object(Bucket="bucket", Key=f"{number}/{count}", Body=b"x")

    def read():
        for _ in range(25):
            try:
                s3.list_objects_v2(Bucket="bucket")
            except ClientError as error:
                failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 50
