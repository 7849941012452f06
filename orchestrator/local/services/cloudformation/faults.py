"""The errors CloudFormation answers, with its codes and words."""

from __future__ import annotations

from orchestrator.local.service import ServiceError


def invalid(message: str) -> ServiceError:
    """``ValidationError``: the code of nearly everything that is wrong with a request or a template."""
    return ServiceError("ValidationError", message)


def unsupported(what: str) -> ServiceError:
    """A part of CloudFormation that the embedded AWS does not have; said by name before anything is made."""
    return ServiceError("ValidationError", f"The embedded AWS does not support {what}.")


def stack_missing(name: str) -> ServiceError:
    """No stack of this name or id."""
    return invalid(f"Stack with id {name} does not exist")


def stack_exists(name: str) -> ServiceError:
    """A live stack has this name."""
    return ServiceError("AlreadyExistsException", f"Stack [{name}] already exists")


def change_set_missing(name: str) -> ServiceError:
    """No change set of this name or id; CloudFormation answers 404."""
    return ServiceError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)


def change_set_exists(name: str) -> ServiceError:
    """The stack has a change set of this name."""
    return ServiceError("AlreadyExistsException", f"ChangeSet {name} already exists")


def change_set_status(message: str) -> ServiceError:
    """The change set is not in a state for this."""
    return ServiceError("InvalidChangeSetStatus", message)


def capabilities_missing(needed: list[str]) -> ServiceError:
    """The caller did not acknowledge what the template may do."""
    return ServiceError("InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(needed)}]")


def token_used(token: str) -> ServiceError:
    """The client request token belongs to another operation."""
    return ServiceError("TokenAlreadyExistsException", f"Client request token [{token}] has already been used")


class ResourceFailed(Exception):
    """A resource could not be brought to where it should be; the message becomes its status reason.

    ``code`` is CloudFormation's handler error code (``AlreadyExists``, ``NotFound``, ``NotStabilized``, ...).
    """

    def __init__(self, message: str, code: str = "GeneralServiceException") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class NotYet(Exception):
    """What a provider was asked to do cannot be done at this moment; it is asked again soon."""
