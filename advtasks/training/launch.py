"""``--devices N``: starts the processes of one machine through torchrun's elastic launcher."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from advtasks.devices import threads_of
from advtasks.errors import DATA_MISTAKE, UsageError
from advtasks.training.launcher_lost import LAUNCHER

_SIGNALLED = 128
"""Exit codes above it: that a signal asked to stop."""


def launch(arguments: Sequence[str], processes: int, restarts: int) -> int:
    """Run ``python ARGUMENTS`` as `processes` ranks; gives the exit code of the first that failed, or 0.

    When one dies the others are stopped within half a minute, and all are started again up to `restarts` times; not
    after a mistake of the command line, of run.yaml or in the data (then 3, :data:`advtasks.errors.DATA_MISTAKE`), and
    not when they were asked to stop.
    """
    before, logged = dict(os.environ), logging.root.manager.disable
    os.environ.setdefault("OMP_NUM_THREADS", str(threads_of(processes)))
    os.environ[LAUNCHER] = str(os.getpid())
    logging.disable(logging.CRITICAL)  # what the launcher says in twenty lines is said in one below
    try:
        for again in range(restarts + 1):
            if again:
                print(f"advtasks: starting again ({again} of {restarts} times)", file=sys.stderr)
            code = _launched(arguments, processes)
            if code in (0, UsageError.exit_code, DATA_MISTAKE) or code > _SIGNALLED:
                break
        return code
    except SignalException as error:
        return _SIGNALLED + int(error.sigval)
    finally:
        logging.disable(logged)
        for name in {LAUNCHER, "OMP_NUM_THREADS"} - before.keys():
            del os.environ[name]


def _launched(arguments: Sequence[str], processes: int) -> int:
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.3,
    )
    try:
        elastic_launch(config, sys.executable)(*arguments)
    except ChildFailedError as error:
        rank, failure = min(error.failures.items(), key=lambda item: item[1].timestamp)
        if failure.exitcode > 0:  # it has said why
            return failure.exitcode
        print(
            f"advtasks: rank {rank} was killed by signal {-failure.exitcode}"
            + ("; the other processes were stopped" if processes > 1 else ""),
            file=sys.stderr,
        )
        return 1
    return 0
