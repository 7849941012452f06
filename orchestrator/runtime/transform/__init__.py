"""One batch transform job as local processes: a served model, and a reader that sends it the input.

``python -m orchestrator.runtime.transform <folder>`` supervises the job that ``<folder>/transform.json`` describes:

    lock            held for life; a second supervisor of the same folder ends at once
    transform.json  what to transform (``Transform``)
    in/             the input objects as files; they are there before the supervisor starts
    serving/        a folder of ``orchestrator.runtime.serving``: the model
    stop            its appearance asks the job to end
    out/            one file for each input object, with ``.out`` behind its name; whole or not there
    data.log        what happened to the input
    exit.json       written last: status, reason, times

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html
"""
