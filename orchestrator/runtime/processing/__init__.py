"""One processing job as a local process, under SageMaker's processing container contract.

``python -m orchestrator.runtime.processing <folder>`` supervises the job that ``<folder>/job.json`` describes:

    lock       held for life; a second supervisor of the same folder ends at once
    job.json   what to run (``Job``)
    ml/        what the job sees as /opt/ml; the inputs are there before the supervisor starts
    stop       its appearance asks the job to end
    job.log    what the job printed
    exit.json  written last: status, exit code, reason, message, times

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
"""
