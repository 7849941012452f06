"""``python -m orchestrator.runtime.processing <folder> [--detach]``: supervise the processing job of the folder."""

from orchestrator.runtime.process import supervisor_main
from orchestrator.runtime.processing.supervisor import supervise

if __name__ == "__main__":
    supervisor_main("orchestrator.runtime.processing", supervise)
