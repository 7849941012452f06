"""AWS CodeCommit: real Git repositories on this machine."""

from orchestrator.local.services.codecommit.service import CodeCommit

SERVICE = CodeCommit
