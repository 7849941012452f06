"""``python -m orchestrator.runtime.training <folder> [--detach]``: supervise the job of the folder."""

from orchestrator.runtime.process import supervisor_main
from orchestrator.runtime.training.supervisor import supervise

if __name__ == "__main__":
    supervisor_main("orchestrator.runtime.training", supervise)
