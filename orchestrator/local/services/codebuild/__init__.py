"""AWS CodeBuild: projects, and builds that really run their commands."""

from orchestrator.local.services.codebuild.service import CodeBuild

SERVICE = CodeBuild
