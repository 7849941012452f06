"""The templates for continuous integration: they parse, their shell is shell, they hold no keys and ask for little."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint_file

from orchestrator.cli.__main__ import find_verbs

FOLDER = Path(__file__).parents[2] / "templates" / "ci"
GITHUB = FOLDER / "github" / "mlops.yml"
GITLAB = FOLDER / "gitlab" / "mlops.gitlab-ci.yml"


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
        assert not re.fullmatch(pattern, wide) and not re.fullmatch(pattern, "*")
        assert re.fullmatch(pattern, "repo:team/models:ref:refs/heads/main")


class Plain(yaml.SafeLoader):
    """Reads CloudFormation's short forms as nothing."""


Plain.add_multi_constructor("!", lambda loader, suffix, node: None)
