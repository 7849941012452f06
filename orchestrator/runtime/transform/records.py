"""An input file as the requests that are sent for it, and the answers as the output file."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from orchestrator.runtime.transform.job import MEGABYTE, Transform


class BadInput(Exception):
    """A file that cannot be transformed; the message is for the person who gave it."""


def content(path: Path, compression: str) -> bytes:
    """The file's bytes, unpacked when it is packed."""
    data = path.read_bytes()
    if compression != "Gzip":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise BadInput(f"the input is not gzip: {error}") from error


def batches(data: bytes, job: Transform) -> Iterator[list[bytes]]:
    """The records of each request, in order; without splitting the whole file is one record.

    ``MultiRecord`` puts as many lines into a request as fit into the payload, ``SingleRecord`` one.
    """
    if job.split == "None":
        _check_size(data, job, "the file")
        yield [data]
        return
    batch: list[bytes] = []
    size = 0
    for line in data.splitlines():
        if not line.strip():
            continue
        _check_size(line, job, "a line")
        if batch and (job.strategy == "SingleRecord" or _too_large(size + len(line) + 1, job)):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


def payload(records: list[bytes]) -> bytes:
    """The body of a request."""
    return b"\n".join(records)


def assembled(answers: list[bytes], job: Transform) -> bytes:
    """The output file: the answers one after another, each ended by a line end if that was asked for."""
    if job.assemble == "None":
        return b"".join(answers)
    return b"".join(answer if answer.endswith(b"\n") else answer + b"\n" for answer in answers if answer)


def _too_large(size: int, job: Transform) -> bool:
    return bool(job.max_payload) and size > job.max_payload


def _check_size(record: bytes, job: Transform, what: str) -> None:
    if _too_large(len(record), job):
        limit = job.max_payload // MEGABYTE
        raise BadInput(f"{what} of {len(record)} bytes is larger than the payload (MaxPayloadInMB {limit})")
