"""Model quality: how well predictions meet the labels that came later, how sure that is, and what became worse.

    settings, policy        what is asked for, and when a metric is a violation
    chance                  intervals and tail probabilities, in closed form
    tables                  metrics of a confusion matrix, their errors, and their permutation test
    scores                  ROC and precision-recall of probabilities, in bounded memory
    binary, multiclass, regression   one pass over the rows each, to a statistics document
    worst                   the rows to look at
    judging                 two statistics documents and the constraints to violations
    drawing, page           the report

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
"""
