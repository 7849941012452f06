"""``python -m orchestrator.runtime.building <folder> [--detach]``: supervise the build of the folder."""

from orchestrator.runtime.building.supervisor import supervise
from orchestrator.runtime.process import supervisor_main

if __name__ == "__main__":
    supervisor_main("orchestrator.runtime.building", supervise)
