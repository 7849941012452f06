"""``python -m orchestrator.runtime.transform <folder> [--detach]``: supervise the transform job of the folder."""

from orchestrator.runtime.process import supervisor_main
from orchestrator.runtime.transform.supervisor import supervise

if __name__ == "__main__":
    supervisor_main("orchestrator.runtime.transform", supervise)
