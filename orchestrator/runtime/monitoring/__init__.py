"""Monitors: what a model's data looked like when it was trained, and whether it still looks like that.

``baseline`` reads a data set once and writes ``statistics.json`` and ``constraints.json``; ``analyze`` reads later
data beside them and writes its own ``statistics.json`` and ``constraint_violations.json``; ``report`` draws both as one
HTML page. The files have the form of SageMaker Model Monitor's, so its tools read ours and ours read its.

    reading, tables, capture   files to batches of typed columns; broken rows become findings
    sketch, counts, profile    one pass over the batches; memory depends on columns, never on rows
    documents                  profiles to statistics and constraints, and back
    probability, distances     the tests, in closed form
    checks, analysis           baseline and window to violations, under one family-wise error level
    plots, report              the page
    kinds/                     one module for each kind of monitor
    definition, window, job    a run as a SageMaker Processing job: what it is told, what it fetches, what it does
    emission, asking, clients  its metrics, the endpoint it asks, AWS
    command, __main__          the command line

polars and numpy are needed (extra ``monitoring``), and imported only where data is read.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-quality.html
"""
