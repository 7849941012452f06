"""One training job as a local process, under SageMaker's training container contract.

``python -m orchestrator.runtime.training <folder>`` supervises the job that ``<folder>/job.json`` describes:

    lock          held for life; a second supervisor of the same folder ends at once
    job.json      what to run (``Job``)
    ml/           what the job sees as /opt/ml; the input data is there before the supervisor starts
    source.tar.gz the user's code, for script mode
    stop          its appearance asks the job to end
    job.log       what the job printed
    exit.json     written last: status, exit code, reason, metrics, times
    artifacts/    model.tar.gz and output.tar.gz

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""
