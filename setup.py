"""Packaging metadata: ``orchestrator`` plus the catalog (blueprints, templates, pipelines) it reads at run time."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = (ROOT / "orchestrator/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]
CATALOG = "orchestrator.catalog"


def catalog_packages() -> dict[str, str]:
    """Package name -> folder for every folder of the catalog, so that a wheel carries the data files."""
    packages = {}
    for top in ("blueprints", "templates", "pipelines"):
        for folder in [ROOT / top, *sorted(path for path in (ROOT / top).rglob("*") if path.is_dir())]:
            if "__pycache__" not in folder.parts:
                relative = folder.relative_to(ROOT)
                packages[".".join([CATALOG, *relative.parts])] = str(relative)
    return packages


setup(
    name="mlops-orchestrator",
    version=VERSION,
    description="A committed mlops-config.json becomes live models in dev, staging and prod.",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["orchestrator", "orchestrator.*"]), *catalog_packages()],
    package_dir=catalog_packages(),
    package_data={
        "orchestrator": ["*.json", "py.typed"],
        "orchestrator.infra": ["*.lock"],
        "orchestrator.local.authorization": ["actions.json"],
        "orchestrator.local.services.cloudformation.schema": ["types/*.json"],
        **{name: ["*"] for name in catalog_packages()},
    },
    install_requires=[
        "boto3>=1.40",
        "jinja2>=3.1.5",
        "jsonschema>=4.23",
        "pyyaml>=6.0.2",
        "cloudformation-validate>=1.14",
    ],
    extras_require={
        "local": [
            "moto[s3,iam,sts,sns,sqs,kms,ssm,ecr,logs,dynamodb,apigateway,secretsmanager,server]>=5.2.5,<5.3",
            "xgboost-cpu>=3.0",
            "scikit-learn>=1.5",
            "optuna>=4.5",
            "uvicorn[standard]>=0.34",
            "fpdf2>=2.8",
            "polars>=2.1",
            "tzdata>=2025.1",
        ],
        "monitoring": ["polars>=2.1", "numpy>=2.0"],
        "pytorch": ["torch>=2.6"],
        "cdk": ["aws-cdk-lib>=2.275,<3", "constructs>=10.4,<11"],
        "gates": ["cdk-nag>=3.0", "bandit>=1.9"],
        "test": [
            "pytest>=8.3",
            "pytest-xdist>=3.6",
            "hypothesis>=6.120",
            "schemathesis>=4.0",
            "psutil>=6.0",
            "setuptools>=77",
            "wheel",
            "mypy>=1.14",
            "ruff>=0.9",
            "cfn-lint>=1.40",
            "types-PyYAML",
            "types-jsonschema",
        ],
    },
    entry_points={"console_scripts": ["mlops = orchestrator.cli.__main__:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
