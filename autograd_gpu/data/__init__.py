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

from .cifar import CIFAR10, CIFAR100, read_cifar
from .collate import default_collate, default_convert
from .csv import read_csv
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
from .mnist import MNIST, read_idx
from .prefetch import CUDAPrefetcher, pin_memory
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .text import Blocks, CharVocabulary, random_blocks, read_text, split_tokens

__all__ = [
    "BatchSampler",
    "Blocks",
    "CIFAR10",
    "CIFAR100",
    "CUDAPrefetcher",
    "ChainDataset",
    "CharVocabulary",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "MNIST",
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
    "random_blocks",
    "random_split",
    "read_cifar",
    "read_csv",
    "read_idx",
    "read_text",
    "split_tokens",
]
