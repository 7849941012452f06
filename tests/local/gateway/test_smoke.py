def test_moto_answers_per_account(aws):
    aws.client("s3").create_bucket(Bucket="hub-bucket")
    aws.client("sqs", account="dev").create_queue(QueueName="q")
    assert [b["Name"] for b in aws.client("s3").list_buckets()["Buckets"]] == ["hub-bucket"]
    assert aws.client("sts", account="dev").get_caller_identity()["Account"] == "222222222222"
    assert "QueueUrls" not in aws.client("sqs").list_queues()
