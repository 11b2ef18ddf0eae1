"""A bucket of an S3 store as a place for copies of the heads."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server.audit.heads import PREFIX

SECONDS = 5.0


class Bucket:
    """Object lock, or versions, keep the copies from who has the keys of the bucket."""

    def __init__(
        self, bucket: str, *, url: str, region: str, access_key: str, secret_key: str
    ) -> None:
        self._bucket = bucket
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=url or None,
            region_name=region,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=Config(connect_timeout=SECONDS, read_timeout=SECONDS),
        )

    def put(self, name: str, content: bytes) -> None:
        with _refusals_said():
            self._client.put_object(Bucket=self._bucket, Key=name, Body=content)

    def names(self) -> Iterable[str]:
        pages = self._client.get_paginator("list_objects_v2")
        with _refusals_said():
            found = list(pages.paginate(Bucket=self._bucket, Prefix=f"{PREFIX}/"))
        return sorted(each["Key"] for page in found for each in page.get("Contents", ()))

    def get(self, name: str) -> bytes:
        with _refusals_said():
            found: bytes = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        return found


@contextmanager
def _refusals_said() -> Iterator[None]:
    try:
        yield
    except ClientError as refusal:
        raise OSError(f"the bucket refuses ({refusal.response['Error']['Code']})") from None
    except BotoCoreError as failure:
        raise OSError(f"the object store does not answer ({type(failure).__name__})") from None
