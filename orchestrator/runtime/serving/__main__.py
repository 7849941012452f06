"""``python -m orchestrator.runtime.serving <folder> [--detach]``: supervise the model of the folder."""

from orchestrator.runtime.process import supervisor_main
from orchestrator.runtime.serving.supervisor import Supervisor

if __name__ == "__main__":
    supervisor_main("orchestrator.runtime.serving", lambda folder: Supervisor(folder).run())
