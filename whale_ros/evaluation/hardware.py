"""What numbers were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from whale_ros.training.workers import Worker


def hardware() -> str:
    """Processor and cores, and the GPU if there is one, for reports."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{model}, {os.cpu_count()} cores{gpu}"


def trained_on(worker: Worker) -> dict[str, str]:
    """For a checkpoint's card."""
    return {
        "device": worker.device.type,
        "precision": "bf16" if worker.is_fast else "fp32",
        "hardware": hardware(),
        "torch": torch.__version__,
    }
