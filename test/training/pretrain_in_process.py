"""Train a model as a process of its own, or as one of torchrun's.

python pretrain_in_process.py DATA CONFIG.yaml RUN TOKENIZER,BEHAVIOR,DYNAMICS [RUN STEPS ...]
"""

import sys
from pathlib import Path

import torch

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.pretrain import Steps, pretrain
from whale_ros.training.workers import join_workers
from whale_ros.world_model.config import WhaleConfig

data, config, *runs = sys.argv[1:]
torch.set_num_threads(1)
with join_workers("cpu") as worker:
    episodes = EpisodeSet(Path(data), "train")
    for run, steps in zip(runs[::2], runs[1::2], strict=True):
        steps = Steps(*map(int, steps.split(",")))
        pretrain(episodes, WhaleConfig.from_yaml(Path(config)), Path(run), steps, worker=worker)
