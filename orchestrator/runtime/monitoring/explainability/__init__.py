"""Explainability: which features the answers of a model come from, and whether that has changed.

    settings     what is explained, and how: the arguments of the SageMaker SDK's SHAPConfig
    sampling     a random sample of the rows, in bounded memory
    background   the rows that stand for "the feature is not known"
    kernel       KernelSHAP: any model, by asking it about mixed rows
    trees        the exact values of gradient boosted trees, from a model file of XGBoost
    ranking      attributions of all rows to one of each feature; how alike two rankings are; chance
    documents    analysis.json, constraints.json, constraint_violations.json
    page         the report

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-model-explainability.html
"""
