"""Trains a prepared network on several processes; `test_distributed.py` starts it with torchrun.

Each process writes its state into the folder that is the only argument, and the first one the int8
network as well.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import edgecnn
from firmware_export.tflite_writer import to_tflite


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def main(folder: Path) -> None:
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    torch.manual_seed(rank)  # DistributedDataParallel makes the parameters those of rank 0
    data = TensorDataset(torch.randn(96, 1, 8, 8) * (1 + rank), torch.randint(0, 3, (96,)))
    sampler: DistributedSampler[TensorDataset] = DistributedSampler(data, seed=1)
    loader = DataLoader(data, batch_size=8, sampler=sampler, num_workers=1)
    prepared = edgecnn.prepare_qat(network(), range_batches=3).train()
    model = DistributedDataParallel(prepared)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for step, (x, y) in enumerate(loader):
        is_last = step % 2 == 1  # gradients of two batches are accumulated
        with contextlib.nullcontext() if is_last else model.no_sync():
            nn.functional.cross_entropy(model(x), y).backward()
        if is_last:
            optimizer.step()
            optimizer.zero_grad()
    torch.save(prepared.state_dict(), folder / f"{rank}.pt")
    if rank == 0:
        (folder / "network.tflite").write_bytes(to_tflite(edgecnn.convert(model)))
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
