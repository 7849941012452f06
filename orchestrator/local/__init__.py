"""The embedded AWS: several accounts in one process, no Docker, state that survives ``kill -9``.

It *is* AWS for the orchestrator, so nothing here imports the orchestrator's core. moto keeps what only has
to be remembered (S3, IAM, SNS, ...); ``services/`` holds our own durable services for what has to happen.
"""
