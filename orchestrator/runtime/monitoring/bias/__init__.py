"""Bias: whether labels and predictions treat a group of people (a facet) as they treat everybody else.

    settings     what is compared: label, facets, thresholds, where the prediction is found
    formulas     SageMaker Clarify's metrics, in closed form on the counts of a facet's rows
    flipping     the one metric that needs the rows themselves: the flip test, on a bounded sample
    counting     one pass over the rows: counts of every combination of facets, label, prediction and group
    tables       these counts by facet, as the formulas take them
    chance       a window beside its baseline: permutation tests, corrected together; intervals by a bootstrap
    predicting   the predicted label of each row: from the answer, its probabilities, or the model asked again
    documents    analysis.json, constraints.json, constraint_violations.json
    page         the report

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-detect-data-bias.html
"""
