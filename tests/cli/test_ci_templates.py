"""The templates for continuous integration: they have the form of their products, their shell is shell, takes nothing
that strangers write, holds no keys and asks for little."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cfnlint.api import lint_file

from orchestrator.cli.__main__ import find_verbs

FOLDER = Path(__file__).parents[2] / "templates" / "ci"
GITHUB = FOLDER / "github" / "mlops.yml"
GITLAB = FOLDER / "gitlab" / "mlops.gitlab-ci.yml"
OURS = {
    "ASSETS_BUCKET", "CONFIG", "CONFIG_BUCKET", "PACKAGE", "NUMBER", "MLOPS_ASSETS_BUCKET", "MLOPS_CONFIG",
    "MLOPS_CONFIG_BUCKET", "MLOPS_ID_TOKEN", "MLOPS_NOTE_TOKEN", "MLOPS_PACKAGE", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "status",
}  # fmt: skip
"""Variables of the templates themselves, or of whoever sets the project up."""
THEIRS = {
    "GITHUB_REPOSITORY", "GITHUB_STEP_SUMMARY", "CI_API_V4_URL", "CI_MERGE_REQUEST_IID", "CI_PROJECT_ID",
    "CI_PROJECT_PATH",
}  # fmt: skip
"""Variables of the products that only they write: names of projects and numbers, no branch, title or message."""
CONTEXTS = {"github.event.pull_request.number", "github.repository", "github.token"}
TEXT = {"type": "string", "minLength": 1}
VARIABLES = {"type": "object", "additionalProperties": {"type": "string"}}
STEP = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"name": TEXT, "uses": TEXT, "run": TEXT, "if": TEXT, "with": {"type": "object"}, "env": VARIABLES},
    "oneOf": [{"required": ["uses"]}, {"required": ["name", "run"]}],
}
INPUT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "description"],
    "properties": {"type": {"const": "string"}, "description": TEXT, "required": {"const": True}, "default": {}},
    "oneOf": [{"required": ["required"]}, {"required": ["default"]}],
}
GITHUB_FORM = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "on", "permissions", "jobs"],
    "properties": {
        "name": TEXT,
        "on": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"workflow_call": {"properties": {"inputs": {"additionalProperties": INPUT}}}},
        },
        "permissions": {"const": {}},
        "env": VARIABLES,
        "jobs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["if", "runs-on", "timeout-minutes", "permissions", "steps"],
                "properties": {
                    "if": TEXT,
                    "runs-on": {"const": "ubuntu-latest"},
                    "timeout-minutes": {"type": "integer", "maximum": 15},
                    "permissions": {"type": "object", "additionalProperties": {"enum": ["read", "write"]}},
                    "concurrency": {"type": "object", "required": ["group", "cancel-in-progress"]},
                    "steps": {"type": "array", "minItems": 1, "items": STEP},
                },
            },
        },
    },
}
GITLAB_FORM = {
    "type": "object",
    "required": ["variables", ".mlops"],
    "properties": {"variables": VARIABLES},
    "additionalProperties": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "extends": {"const": ".mlops"},
            "stage": {"enum": ["test", "deploy"]},
            "image": TEXT,
            "timeout": TEXT,
            "id_tokens": {"type": "object", "additionalProperties": {"required": ["aud"]}},
            "rules": {"type": "array", "items": {"type": "object", "required": ["if"]}},
            "variables": VARIABLES,
            "resource_group": TEXT,
            "before_script": {"type": "array", "items": TEXT},
            "script": {"type": "array", "items": TEXT},
            "artifacts": {"type": "object", "required": ["paths"]},
        },
    },
}


def github() -> Any:
    return yaml.safe_load(GITHUB.read_text())


def gitlab() -> Any:
    return yaml.safe_load(GITLAB.read_text())


def scripts() -> dict[str, str]:
    """Every piece of shell, by where it stands."""
    found = {
        f"github {job} {step['name']}": step["run"]
        for job, body in github()["jobs"].items()
        for step in body["steps"]
        if "run" in step
    }
    for job, body in gitlab().items():
        for part in ("before_script", "script"):
            if isinstance(body, dict) and part in body:
                found[f"gitlab {job} {part}"] = "\n".join(body[part])
    return found


def step(job: str, name: str) -> str:
    """The shell of a step of the GitHub workflow."""
    return scripts()[f"github {job} {name}"]


@pytest.mark.parametrize("where", sorted(scripts()))
def test_shell_is_shell_and_takes_nothing_from_expressions(where: str) -> None:
    """What comes from outside comes as a variable: an expression in a script is a way to run a branch's name."""
    text = scripts()[where]
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    assert "${{" not in text and "$[[" not in text
    called = set(re.findall(r"^\s*mlops ([a-z]+)", text, re.MULTILINE))
    assert called <= set(find_verbs())


@pytest.mark.parametrize("where", sorted(scripts()))
def test_what_strangers_write_never_reaches_a_shell(where: str) -> None:
    """Branches, titles and messages are not asked for; what is asked for stands in quotes; a pipe hides no failure."""
    text = scripts()[where]
    assert set(re.findall(r"\$\{?([A-Za-z_]\w*)", text)) <= OURS | THEIRS
    bare = re.sub(r'"[^"\n]*"', "", re.sub(r"'[^'\n]*'", "", text))
    assert not re.findall(r"\$[A-Za-z_]\w*", bare)
    assert not re.search(r"\beval\b|\bsh -c\b|(?<!\\)`", re.sub(r"'[^'\n]*'", "", text))
    assert "|" not in re.sub(r"\|\|", "", bare) or "set -o pipefail" in text


def test_expressions_give_what_only_github_and_the_caller_write() -> None:
    document = github()
    steps = [one for job in document["jobs"].values() for one in job["steps"]]
    values = [*document["env"].values(), *(value for one in steps for value in (one.get("env") or {}).values())]
    values += [value for one in steps for value in (one.get("with") or {}).values()]
    values += [job.get("concurrency", {}).get("group", "") for job in document["jobs"].values()]
    named = {name for value in values for name in re.findall(r"\$\{\{\s*([^}]*?)\s*\}\}", str(value))}
    assert named - CONTEXTS == {f"inputs.{name}" for name in document[True]["workflow_call"]["inputs"]}


def test_the_documents_have_their_products_form() -> None:
    workflow = {"on" if key is True else key: value for key, value in github().items()}  # YAML 1.1 reads "on" as true
    for document, form in ((workflow, GITHUB_FORM), (gitlab(), GITLAB_FORM)):
        jsonschema.Draft7Validator.check_schema(form)
        assert [error.message for error in jsonschema.Draft7Validator(form).iter_errors(document)] == []


def test_after_the_merge_the_config_is_put_and_nothing_else_is_asked() -> None:
    for where, folder in (
        ("github provision Provision", "GITHUB_REPOSITORY"),
        ("gitlab mlops-provision script", "CI_PROJECT_PATH"),
    ):
        text = scripts()[where].replace("\\\n", " ")
        (command,) = [line for line in text.splitlines() if "mlops " in line]
        assert re.match(rf'\s*mlops provision "\$\w*CONFIG" --into "\${folder}" ', command)


def test_github_gets_a_token_for_aws_and_little_else() -> None:
    document = github()
    assert document["permissions"] == {}
    called = document[True]["workflow_call"]["inputs"]  # YAML 1.1 reads "on" as true
    assert {name for name, one in called.items() if one.get("required")} == {"region", "plan-role", "provision-role"}
    plan, provision = document["jobs"]["plan"], document["jobs"]["provision"]
    assert plan["permissions"] == {"contents": "read", "id-token": "write", "pull-requests": "write"}
    assert provision["permissions"] == {"contents": "read", "id-token": "write"}
    assert (plan["if"], provision["if"]) == ("github.event_name == 'pull_request'", "github.event_name == 'push'")
    for job in (plan, provision):
        used = [one["uses"] for one in job["steps"] if "uses" in one]
        assert all(re.fullmatch(r"(actions|aws-actions)/[a-z-]+@v\d+", one) for one in used)
        assert "secrets." not in str(job) and "AWS_SECRET_ACCESS_KEY" not in str(job)
    roles = [one["with"]["role-to-assume"] for job in (plan, provision) for one in job["steps"] if "role" in str(one)]
    assert roles == ["${{ inputs.plan-role }}", "${{ inputs.provision-role }}"]


def test_gitlab_gets_a_token_for_aws() -> None:
    document = gitlab()
    assert document[".mlops"]["id_tokens"]["MLOPS_ID_TOKEN"] == {"aud": "sts.amazonaws.com"}
    for job, role, rule in (
        ("mlops-plan", "$MLOPS_PLAN_ROLE", 'merge_request_event"'),
        ("mlops-provision", "$MLOPS_PROVISION_ROLE", "$CI_DEFAULT_BRANCH"),
    ):
        assert document[job]["extends"] == ".mlops" and document[job]["variables"]["AWS_ROLE_ARN"] == role
        assert document[job]["rules"][0]["if"].endswith(rule)


def test_the_roles_take_tokens_of_one_repository_alone() -> None:
    file = FOLDER / "roles.template.yaml"
    assert lint_file(file) == []
    text = file.read_text()
    assert text.count("sts:AssumeRoleWithWebIdentity") == text.count('"${Issuer}:aud": "${Audience}"') == 2
    parameters = yaml.load(text, Plain)["Parameters"]
    for name, wide in (("PlanSubject", "repo:team/*:pull_request"), ("ProvisionSubject", "repo:team/models:ref:*")):
        pattern = parameters[name]["AllowedPattern"]
        for no in (wide, "*", "repo:team:ref:refs/heads/main", "repo:/models:ref:x", "repo:team/:ref:x"):
            assert not re.fullmatch(pattern, no)
        assert re.fullmatch(pattern, "repo:team/models:ref:refs/heads/main")
        assert re.fullmatch(pattern, "repo:team@123456/models@456789:ref:refs/heads/main")
    folder = parameters["Repository"]["AllowedPattern"]
    assert re.fullmatch(folder, "team/models") and re.fullmatch(folder, "a/b/c")
    assert not any(re.fullmatch(folder, each) for each in ("*", "team", "team/*", "team/", "/models", "team/models/"))


class Plain(yaml.SafeLoader):
    """Reads CloudFormation's short forms as nothing."""


Plain.add_multi_constructor("!", lambda loader, suffix, node: None)
