"""One test for each point where the embedded AWS touches moto, and a search for what a new moto may bring."""

from __future__ import annotations

import ast
import datetime
import importlib
import json
import pickle
import threading
import time
from collections import defaultdict
from pathlib import Path

import moto
import pytest

from orchestrator.local.gateway.kept import SERVICES
from orchestrator.local.journal import determinism, moto_app
from orchestrator.local.journal.blobs import Blobs, Body
from orchestrator.local.messages import Request

PACKAGE = Path(moto.__file__).parent
ACCOUNT = "222222222222"


def signed(method, target, service, body=b"", **headers):
    authorization = f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20260101/us-east-1/{service}/aws4_request, Signature=x"
    pairs = {"Authorization": authorization, "Host": "127.0.0.1", **headers}
    return Request(method, target, tuple(pairs.items()), body)


def call(method, target, service="s3", body=b"", **headers):
    return moto_app.call(signed(method, target, service, body, **headers), ACCOUNT, 1)


@pytest.fixture(autouse=True)
def empty(tmp_path):
    moto_app.forget_everything()
    Body.blobs = Blobs(tmp_path / "blobs")
    yield
    moto_app.forget_everything()


def test_the_version_is_within_the_pin():
    assert moto_app.VERSION.startswith("5.2.")
    assert tuple(map(int, moto_app.VERSION.split("."))) >= (5, 2, 5)


def test_an_answer_comes_from_the_account_that_is_given():
    assert call("PUT", "/bucket").response.status == 200
    assert b"bucket" in call("GET", "/").response.body
    other = moto_app.call(signed("GET", "/", "s3"), "333333333333", 1)
    assert b"<Name>bucket" not in other.response.body


def test_encoded_paths_and_underscores_in_metadata_arrive_as_sent():
    call("PUT", "/bucket")
    key = "/bucket/a%2Fb%20c/%C3%A9%3F"
    call("PUT", key, body=b"1", **{"x-amz-meta-some_key": "v", "x_moto_account_id": "1" * 12})
    found = call("GET", key).response
    assert found.body == b"1" and ("x-amz-meta-some_key", "v") in [
        (name.lower(), value) for name, value in found.headers
    ]
    assert "a/b c/é?".encode() in call("GET", "/bucket").response.body


def test_what_moto_raises_comes_through():
    with pytest.raises(NotImplementedError):
        call("POST", "/", "kms", b"{}", **{"X-Amz-Target": "TrentService.DescribeCustomKeyStores"})


def test_no_answer_allows_other_origins():
    names = [name.lower() for name, _ in call("GET", "/", Origin="https://evil.example").response.headers]
    assert not [name for name in names if name.startswith("access-control")]


def test_the_owner_of_a_users_key_is_found():
    iam = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    call("POST", "/", "iam", b"Action=CreateUser&Version=2010-05-08&UserName=u", **iam)
    made = call(
        "POST", "/", "iam", b"Action=CreateAccessKey&Version=2010-05-08&UserName=u", **iam
    ).response.body.decode()
    key = made.partition("<AccessKeyId>")[2].partition("<")[0]
    assert moto_app.owner_of_user_key(key) == ACCOUNT
    assert moto_app.owner_of_user_key("AKIAOTHER") is None


def test_the_home_of_an_api_is_found():
    json_type = {"Content-Type": "application/json"}
    body = call("POST", "/restapis", "apigateway", b'{"name": "a"}', **json_type).response.body
    api = body.decode().partition('"id": "')[2].partition('"')[0]
    assert moto_app.home_of_api(api) == (ACCOUNT, "us-east-1")
    assert moto_app.home_of_api("other") is None


def test_events_of_objects_are_heard_and_not_delivered():
    call("PUT", "/bucket")
    wish = b"<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>"
    assert not moto_app.tells_eventbridge("bucket")
    call("PUT", "/bucket?notification", body=wish)
    assert moto_app.tells_eventbridge("bucket") and not moto_app.tells_eventbridge("other")
    event = call("PUT", "/bucket/k", body=b"123").events[0]
    assert event == moto_app.ObjectEvent(
        "ObjectCreated:Put", "bucket", ACCOUNT, "us-east-1", "k", 3, "202cb962ac59075b964b07152d234b70", ""
    )
    (event,) = call("DELETE", "/bucket/k").events
    assert event.name == "ObjectRemoved:Delete"
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    call("PUT", "/bucket?versioning", body=versioning)
    call("PUT", "/bucket/k", body=b"1")
    (event,) = call("DELETE", "/bucket/k").events
    assert event.name == "ObjectRemoved:DeleteMarkerCreated" and event.version_id


def test_a_moment_makes_moto_repeat_itself():
    def make():
        moto_app.forget_everything()
        with determinism.moment(1700000000.5, 42):
            call("PUT", "/bucket")
            upload = call("POST", "/bucket/k?uploads").response.body
        return upload, call("GET", "/").response.body

    first = make()
    time.sleep(0.01)
    assert make() == first
    assert b"2023-11-14T22:13:20" in first[1]


def test_other_threads_do_not_disturb_a_moment():
    def ids():
        with determinism.moment(1700000000, 42):
            return [str(moto_app.mock_random.uuid4()) for _ in range(300)]

    expected, stop = ids(), threading.Event()

    def disturb():
        while not stop.is_set():
            moto_app.mock_random.get_random_string(20)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        assert all(ids() == expected for _ in range(5))
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("module", "name", "replacement"), moto_app.CLOCKS_AND_CHANCE)
def test_a_place_where_moto_takes_time_or_chance_is_still_there(module, name, replacement):
    loaded = importlib.import_module(module)
    moto_app._tame()
    assert getattr(loaded, name) is replacement
    source = ast.parse(Path(loaded.__file__).read_text())
    assert any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(source)), "moto no longer uses it"


HARMLESS = {
    ("dynamodb/models/table_export.py", "uuid4"),  # refused
    ("dynamodb/models/table_import.py", "uuid4"),  # refused
    ("ssm/models.py", "uuid4"),  # only in a stack of moto's own CloudFormation
    ("kms/responses.py", "urandom"),  # GenerateRandom leaves no trace
}


def test_no_other_place_takes_time_or_chance():
    """A new version of moto that looks at the clock in another place would repeat itself wrongly: find it here."""
    known = {
        (module.removeprefix("moto.").replace(".", "/") + ".py", name) for module, name, _ in moto_app.CLOCKS_AND_CHANCE
    }
    found = set()
    for service in sorted(SERVICES):
        for path in (PACKAGE / service).rglob("*.py"):
            place = str(path.relative_to(PACKAGE))
            found |= {(place, use) for use in _uses(path) if (place, use.partition(".")[0]) not in known}
    named = {(place, use.rpartition(".")[2]) for place, use in found}
    assert named - HARMLESS == set()


def _uses(path):
    """Calls of the real clock or real chance in a file: ``time.time``, ``datetime.now``, ``os.urandom``, ``uuid4``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            text = ast.unparse(node.func)
            if text.endswith(("time.time", "datetime.now", "datetime.utcnow", "date.today", "os.urandom")):
                yield text
            if text in ("uuid4", "uuid.uuid4", "secrets.token_hex", "secrets.token_bytes"):
                yield text


def test_moto_keeps_no_list_of_its_models():
    call("PUT", "/bucket")
    for number in range(20):
        call("PUT", f"/bucket/{number}", body=b"x")
    classes = [model for models in moto_app.model_data.values() for model in models.values()]
    assert classes and not any(model.instances_tracked for model in classes)


def test_notifications_in_queues_are_the_same_again():
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    sqs = {"Content-Type": "application/x-amz-json-1.0"}

    def message():
        moto_app.forget_everything()
        with determinism.moment(1700000000, 1):
            call("POST", "/", "sqs", b'{"QueueName": "q"}', **sqs, **{"X-Amz-Target": "AmazonSQS.CreateQueue"})
            call("POST", "/", "sns", b"Action=CreateTopic&Name=t&Version=2010-03-31", **form)
            arn = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
            target = f"&Protocol=sqs&Endpoint=arn:aws:sqs:us-east-1:{ACCOUNT}:q"
            call("POST", "/", "sns", f"Action=Subscribe&TopicArn={arn}&Version=2010-03-31{target}".encode(), **form)
            call("POST", "/", "sns", f"Action=Publish&TopicArn={arn}&Version=2010-03-31&Message=m".encode(), **form)
            question = b'{"QueueUrl": "http://127.0.0.1/%s/q"}' % ACCOUNT.encode()
            return call(
                "POST", "/", "sqs", question, **sqs, **{"X-Amz-Target": "AmazonSQS.ReceiveMessage"}
            ).response.body

    first = message()
    assert b"Notification" in first and message() == first


def test_bodies_of_objects_are_ours():
    call("PUT", "/bucket")
    call("PUT", "/bucket/k", body=b"x" * 100_000)
    key = moto_app.backend_at("s3", ACCOUNT, "aws").buckets["bucket"].keys["k"]
    assert isinstance(key, moto_app.KEPT_OBJECTS) and isinstance(key._value_buffer, Body) and key._value_buffer.digest
    assert call("GET", "/bucket/k").response.body == b"x" * 100_000


def test_backends_are_found_and_named():
    call("PUT", "/bucket")
    places = dict(moto_app.backends())
    assert ("s3", ACCOUNT, "aws") in places
    for place, backend in places.items():
        assert moto_app.place_of(backend) == place and moto_app.backend_at(*place) is backend
    found = moto_app.backend_dicts()["s3"]
    assert moto_app.place_of(found) == ("s3", "", "") and moto_app.backend_at("s3") is found
    assert (
        moto_app.place_of(found[ACCOUNT]) == ("s3", ACCOUNT, "")
        and moto_app.backend_at("s3", ACCOUNT) is found[ACCOUNT]
    )
    assert moto_app.place_of("anything") is None
    assert moto_app.shared_state(found) == {"bucket_accounts": {"bucket": ("aws", ACCOUNT)}}


def test_forgetting_forgets_everything():
    call("PUT", "/bucket")
    moto_app.forget_everything()
    assert call("GET", "/bucket").response.status == 404
    assert call("PUT", "/bucket").response.status == 200


def test_what_moto_keeps_for_ever_is_shed():
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    call("POST", "/", "sns", b"Action=CreateTopic&Name=t&Version=2010-03-31", **form)
    arn = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
    call("POST", "/", "sns", f"Action=Publish&TopicArn={arn}&Version=2010-03-31&Message=m".encode(), **form)
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    assume = f"Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=session".encode()
    for _ in range(3):
        call("POST", "/", "sts", assume, **form)
    json_type = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.CreateQueue"}
    call("POST", "/", "sqs", b'{"QueueName": "q"}', **json_type)
    topic = moto_app.backend_at("sns", ACCOUNT, "us-east-1").topics[arn]
    sessions = moto_app.backend_at("sts", ACCOUNT, "aws").assumed_roles
    queue = moto_app.backend_at("sqs", ACCOUNT, "us-east-1").queues["q"]
    queue.deleted_messages.add("handle")
    assert topic.sent_notifications and len(sessions) == 3
    sessions *= 500
    newest = sessions[-1]
    moto_app.shed()
    assert not topic.sent_notifications and not queue.deleted_messages
    assert len(sessions) == moto_app.KEPT_SESSIONS and sessions[-1] is newest


def test_factories_stand_for_functions_that_pickle_cannot_name():
    backend = moto_app.backend_at("ssm", ACCOUNT, "us-east-1")
    factory = backend._resource_tags.default_factory
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(factory)
    ours = moto_app.FACTORIES[factory.__qualname__]
    assert type(ours()) is type(factory()) is defaultdict
    assert ours().default_factory is factory().default_factory is dict


def test_datetimes_of_moto_pass_as_our_datetime():
    assert isinstance(datetime.datetime(2026, 1, 1), determinism.Datetime)
    assert type(determinism.Datetime.now()) is datetime.datetime


def test_moto_does_not_evaluate_bucket_policies():
    """The gateway has by then; moto would deny everyone what a statement denies to one."""
    statement = {"Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "s3:*", "Resource": "*"}
    call("PUT", "/box")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    assert call("PUT", "/box?policy", body=policy).response.status < 300
    assert call("PUT", "/box/key", body=b"x").response.status == 200
    assert call("GET", "/box/key").response.status == 200


def test_access_logs_are_set_up_and_never_written():
    for bucket in ("/watched", "/logs"):
        call("PUT", bucket)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/*",
    }
    call("PUT", "/logs?policy", body=json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode())
    wanted = b"""<BucketLoggingStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LoggingEnabled>
        <TargetBucket>logs</TargetBucket><TargetPrefix>a/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"""
    assert call("PUT", "/watched?logging", body=wanted).response.status == 200
    call("PUT", "/watched/key", body=b"1")
    call("GET", "/watched/key")
    assert b"<TargetBucket>logs" in call("GET", "/watched?logging").response.body
    assert b"<Key>" not in call("GET", "/logs").response.body
