"""Datasets, samplers and DataLoader: what torch.utils.data has. And readers of files: MNIST, CIFAR, CSV, text.

>>> import autograd_gpu as ag
>>> from autograd_gpu.data import DataLoader, TensorDataset
>>> dataset = TensorDataset(ag.arange(6).view(3, 2), ag.tensor([0, 1, 0]))
>>> for x, y in DataLoader(dataset, batch_size=2):
...     print(list(x.shape), y)
[2, 2] tensor([0, 1])
[1, 2] tensor([0])
"""

from __future__ import annotations

from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .fetch import get_worker_info
from .prefetch import CUDAPrefetcher, pin_memory
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "CUDAPrefetcher",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "pin_memory",
    "random_split",
]
