"""One variant of an endpoint as local processes, under SageMaker's inference container contract.

``python -m orchestrator.runtime.serving <folder>`` supervises the model that ``<folder>/serving.json`` describes:

    lock          held for life; a second supervisor of the same folder ends at once
    serving.json  what to serve (``Serving``)
    ml/model      what the model sees as /opt/ml/model; ``model.tar.gz`` beside it is unpacked there
    source.tar.gz the user's code, when it is not in the archive
    stop          its appearance asks the server to end
    serve.log     what the model process and the supervisor printed
    status.json   state, port, number of restarts, reason (``State``)

``worker`` is the model process itself: a small ASGI application with ``/ping`` and ``/invocations``.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""
