"""Several processes on one GPU."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

_CONTROL = "nvidia-cuda-mps-control"


@contextmanager
def sharing_gpu(device: str, jobs: int) -> Iterator[None]:
    """Let the kernels of several processes run side by side on a GPU, where NVIDIA's MPS is installed.

    Without it they take turns. A server that is running already (``CUDA_MPS_PIPE_DIRECTORY`` is set) is used.

    Args:
        device: as on the command line.
        jobs: how many processes there will be.
    """
    wanted = device == "auto" or device.startswith("cuda")
    if not wanted or jobs < 2 or "CUDA_MPS_PIPE_DIRECTORY" in os.environ or not shutil.which(_CONTROL):
        yield
        return
    with TemporaryDirectory(prefix="mps-") as folder:
        os.environ["CUDA_MPS_PIPE_DIRECTORY"] = os.environ["CUDA_MPS_LOG_DIRECTORY"] = folder
        started = subprocess.run([_CONTROL, "-d"], check=False, capture_output=True).returncode == 0
        try:
            if not started:
                del os.environ["CUDA_MPS_PIPE_DIRECTORY"]
            yield
        finally:
            if started:
                subprocess.run([_CONTROL], input=b"quit\n", check=False, capture_output=True)
            for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
                os.environ.pop(name, None)
