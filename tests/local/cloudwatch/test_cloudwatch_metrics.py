"""Metrics through the API: what is put comes back, by period, statistic, unit and dimension."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
DAY = [{"Name": "Endpoint", "Value": "e"}, {"Name": "MonitoringSchedule", "Value": "s"}]


def put(cloudwatch: Any, *data: dict[str, Any], namespace: str = "MLOps/Monitoring") -> None:
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "Violations", **one} for one in data])


def ask(cloudwatch: Any, **more: Any) -> list[dict[str, Any]]:
    request = {
        "Namespace": "MLOps/Monitoring", "MetricName": "Violations", "StartTime": NOW - timedelta(hours=3),
        "EndTime": NOW + timedelta(hours=1), "Period": 3600, "Statistics": ["Sum"], **more,
    }  # fmt: skip
    found: list[dict[str, Any]] = cloudwatch.get_metric_statistics(**request)["Datapoints"]
    return sorted(found, key=lambda one: one["Timestamp"])


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from orchestrator.local.embedded import EmbeddedAws
    from orchestrator.local.services import cloudwatch

    running = EmbeddedAws(tmp_path_factory.mktemp("home"), services=[cloudwatch.SERVICE])
    running.start()
    yield running
    running.stop()


@pytest.fixture
def cloudwatch(shared: Any, request: pytest.FixtureRequest) -> Any:
    account = f"{zlib.crc32(request.node.name.encode()):012d}"  # metrics of an account of its own
    return shared.world.client("cloudwatch", account, "us-east-1")


def test_values_are_put_together_by_period(cloudwatch: Any) -> None:
    hour = NOW - timedelta(hours=2)
    put(cloudwatch, {"Value": 1, "Timestamp": hour}, {"Value": 3, "Timestamp": hour + timedelta(minutes=30)})
    put(cloudwatch, {"Values": [2.0, 4.0], "Counts": [1.0, 2.0], "Timestamp": hour + timedelta(minutes=70)})
    found = ask(cloudwatch, StartTime=hour, Statistics=["Sum", "Average", "SampleCount", "Minimum", "Maximum"])
    assert [one["Sum"] for one in found] == [4.0, 10.0]
    assert [one["Average"] for one in found] == [2.0, pytest.approx(10 / 3)]
    assert [(one["SampleCount"], one["Minimum"], one["Maximum"]) for one in found] == [(2, 1, 3), (3, 2, 4)]
    assert [one["Timestamp"] for one in found] == [hour, hour + timedelta(hours=1)]
    assert ask(cloudwatch, StartTime=hour, Period=60, Statistics=["Sum"])[0]["Sum"] == 1.0


def test_percentiles_and_statistic_sets(cloudwatch: Any) -> None:
    put(cloudwatch, {"Values": [float(number) for number in range(1, 101)]})
    found = ask(cloudwatch, Statistics=["Sum"], ExtendedStatistics=["p90", "p99.5"])
    assert found[0]["ExtendedStatistics"] == {"p90": 90.0, "p99.5": 100.0}
    told = {"SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}
    put(cloudwatch, {"StatisticValues": told}, namespace="Other")
    assert ask(cloudwatch, Namespace="Other", Statistics=["Average"])[0]["Average"] == 5.0


def test_dimensions_make_a_metric_and_units_are_told_apart(cloudwatch: Any) -> None:
    put(cloudwatch, {"Value": 1, "Unit": "Count"}, {"Value": 2, "Unit": "Percent"}, {"Value": 9, "Dimensions": DAY})
    assert {one["Unit"]: one["Sum"] for one in ask(cloudwatch)} == {"Count": 1.0, "Percent": 2.0}
    assert [one["Sum"] for one in ask(cloudwatch, Unit="Count")] == [1.0]
    assert [one["Sum"] for one in ask(cloudwatch, Dimensions=DAY[::-1])] == [9.0]
    assert ask(cloudwatch, Dimensions=DAY[:1]) == []


def test_get_metric_data_answers_each_query(cloudwatch: Any) -> None:
    five = {"Value": 5, "Dimensions": DAY, "Timestamp": NOW}  # the suite may take a while from its collection to here
    put(cloudwatch, {"Value": 1, "Timestamp": NOW - timedelta(minutes=2)}, five)
    put(cloudwatch, {"Value": 2, "Timestamp": NOW})
    metric = {"Namespace": "MLOps/Monitoring", "MetricName": "Violations"}
    queries = [
        {"Id": "plain", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {
            "Id": "one",
            "Label": "mine",
            "MetricStat": {"Metric": {**metric, "Dimensions": DAY}, "Period": 60, "Stat": "p50"},
        },
        {"Id": "hidden", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
    ]
    times = {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW + timedelta(minutes=5)}
    first, second = cloudwatch.get_metric_data(MetricDataQueries=queries, **times)["MetricDataResults"]
    assert (first["Label"], first["Values"]) == ("Violations", [2.0, 1.0])
    assert first["Timestamps"] == [NOW, NOW - timedelta(minutes=2)]
    assert (second["Label"], second["Values"]) == ("mine", [5.0])
    ascending = cloudwatch.get_metric_data(MetricDataQueries=queries[:1], ScanBy="TimestampAscending", **times)
    assert ascending["MetricDataResults"][0]["Values"] == [1.0, 2.0]


def test_metrics_are_listed(cloudwatch: Any) -> None:
    put(cloudwatch, {"Value": 1}, {"Value": 1, "Dimensions": DAY}, {"MetricName": "Rows", "Value": 1})
    assert len(cloudwatch.list_metrics()["Metrics"]) == 3
    assert len(cloudwatch.list_metrics(MetricName="Violations", Namespace="MLOps/Monitoring")["Metrics"]) == 2
    (found,) = cloudwatch.list_metrics(Dimensions=[{"Name": "Endpoint"}])["Metrics"]
    assert found["Dimensions"] == DAY
    assert cloudwatch.list_metrics(Namespace="Nothing")["Metrics"] == []


def test_a_large_request_arrives_though_boto3_compresses_it(cloudwatch: Any) -> None:
    values = [float(number) + 0.123456 for number in range(150)]
    put(cloudwatch, *({"Values": values, "MetricName": f"m{number}"} for number in range(10)))
    assert len(cloudwatch.list_metrics()["Metrics"]) == 10


def test_older_clients_may_speak_the_query_protocol(shared: Any) -> None:
    form = {
        "Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "Old",
        "MetricData.member.1.MetricName": "m", "MetricData.member.1.Value": "1.5",
    }  # fmt: skip
    credential = "Credential=777777777777/20300101/us-east-1/monitoring/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(urllib.request.Request(shared.endpoint, data=data, headers=headers)) as answer:
        assert b"PutMetricDataResponse" in answer.read()
    found = shared.world.client("cloudwatch", "777777777777", "us-east-1").list_metrics(Namespace="Old")["Metrics"]
    assert [metric["MetricName"] for metric in found] == ["m"]


@pytest.mark.parametrize("datum, told", [
    ({}, "exactly one of"), ({"Value": 1, "Values": [1.0]}, "exactly one of"), ({"Values": []}, "1 to 150"),
    ({"Values": [1.0], "Counts": [1.0, 2.0]}, "a positive number for each"),
    ({"Value": 1, "Timestamp": NOW - timedelta(days=15)}, "two weeks ago"),
    ({"Value": 1, "Timestamp": NOW + timedelta(hours=3)}, "two hours from now"),
    ({"Value": 1, "StorageResolution": 30}, "1 or 60"),
])  # fmt: skip
def test_data_that_is_refused(cloudwatch: Any, datum: dict[str, Any], told: str) -> None:
    code, message = refusal(lambda: put(cloudwatch, {"Value": 1, "MetricName": "fine"}, datum))
    assert code == "InvalidParameterValue" and told in message and "MetricData.member.2" in message
    assert cloudwatch.list_metrics()["Metrics"] == [], "nothing of the request was taken"


def test_questions_that_are_refused(cloudwatch: Any) -> None:
    assert "AWS/" in refusal(lambda: put(cloudwatch, {"Value": 1}, namespace="AWS/Mine"))[1]
    assert refusal(lambda: ask(cloudwatch, Period=61))[0] == "InvalidParameterValue"
    assert (
        refusal(lambda: ask(cloudwatch, Period=60, StartTime=NOW - timedelta(days=2)))[0]
        == "InvalidParameterCombination"
    )
    assert "tm90" in refusal(lambda: ask(cloudwatch, ExtendedStatistics=["tm90"]))[1]
    times = {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW}
    query = [{"Id": "sum", "Expression": "m1 + m2"}]
    assert "Expression" in refusal(lambda: cloudwatch.get_metric_data(MetricDataQueries=query, **times))[1]
    assert refusal(cloudwatch.list_dashboards)[0] == "UnsupportedOperation"


def test_the_namespaces_of_aws_belong_to_its_services(shared: Any) -> None:
    endpoints = shared.world.acting_as("sagemaker.amazonaws.com").client("cloudwatch", "888888888888", "us-east-1")
    put(endpoints, {"Value": 1}, namespace="AWS/SageMaker")
    own = shared.world.client("cloudwatch", "888888888888", "us-east-1")
    assert len(own.list_metrics(Namespace="AWS/SageMaker")["Metrics"]) == 1
    assert refusal(lambda: put(own, {"Value": 1}, namespace="AWS/SageMaker"))[0] == "InvalidParameterValue"


def test_cbor_is_refused_in_words(shared: Any) -> None:
    credential = "Credential=777777777777/20300101/us-east-1/monitoring/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"}
    headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    url = f"{shared.endpoint}/service/GraniteServiceVersion20100801/operation/ListMetrics"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, data=b"\xa0", headers=headers))
    assert refused.value.code == 501 and b"speaks the JSON protocol" in refused.value.read()
