"""Names that programs look for in PyTorch's second places: cuda.amp, accelerator, utils.data, GradScaler."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest

import autograd_gpu as ag


def test_cuda_amp() -> None:
    module = importlib.import_module("autograd_gpu.cuda.amp")
    assert module is ag.cuda.amp and issubclass(module.GradScaler, ag.amp.GradScaler) and ag.GradScaler is ag.amp.GradScaler
    scaler, cast = module.GradScaler(init_scale=4.0, enabled=False), module.autocast(enabled=False)
    with cast:
        assert ag.ones(2, 2).matmul(ag.ones(2, 2)).dtype == ag.float32
    assert not scaler.is_enabled()


def test_accelerator() -> None:
    a = ag.accelerator
    assert a.is_available() == ag.cuda.is_available() and a.device_count() == ag.cuda.device_count()
    assert a.current_accelerator() == (ag.device("cuda") if a.is_available() else None)
    if not a.is_available():
        ag.cuda.empty_cache()  # nothing to give back
        for need in (a.synchronize, a.current_device_index):
            with pytest.raises(RuntimeError):
                need()


def test_data_by_its_second_name() -> None:
    assert importlib.import_module("autograd_gpu.utils.data") is ag.utils.data is ag.data


def test_modules_by_their_second_names(torch) -> None:
    """What PyTorch has in nn.modules.NAME is found there, for all that nn has of it."""
    found = 0
    for info in pkgutil.iter_modules(torch.nn.modules.__path__):
        there = importlib.import_module(f"torch.nn.modules.{info.name}")
        names = [n for n in getattr(there, "__all__", ()) if hasattr(ag.nn, n)]
        if names:
            here = importlib.import_module(f"autograd_gpu.nn.modules.{info.name}")
            assert getattr(ag.nn.modules, info.name) is here
            for name in names:
                assert getattr(here, name) is getattr(ag.nn, name)
            found += len(names)
    assert found > 120
    with pytest.raises(ImportError, match="ReLU"):
        exec("from autograd_gpu.nn.modules.linear import ReLU")
    assert issubclass(ag.nn.BCELoss, ag.nn.modules.loss._WeightedLoss)


def test_default_device(device) -> None:
    def made() -> list[ag.Tensor]:
        layer = ag.nn.BatchNorm1d(3)
        return [
            ag.zeros(2), ag.randn(2), ag.tensor([1.0]), ag.as_tensor([1]), ag.arange(3), ag.full((2,), 1.0), ag.randperm(3),
            ag.eye(2), ag.linspace(0, 1, 3), ag.nn.Linear(2, 2).weight, layer.weight, layer.running_mean, ag.empty(2),
        ]  # fmt: skip

    cpu, there = ag.device("cpu"), ag.zeros(1, device=device).device
    held = ag.ones(2)
    with ag.device(device) as inside:
        assert inside == device == ag.get_default_device()
        assert {x.device for x in made()} == {there}
        assert (
            held.device
            == ag.zeros_like(held).device
            == ag.from_numpy(np.ones(2)).device
            == ag.ones(2, device="cpu").device
            == cpu
        )
        with ag.device("cpu"):
            assert {x.device for x in made()} == {cpu}
        assert ag.zeros(1).device == there
    assert {x.device for x in made()} == {cpu}
    try:
        ag.set_default_device(device)
        assert {x.device for x in made()} == {there} and ag.tensor(held).device == there
    finally:
        ag.set_default_device(None)
    assert {x.device for x in made()} == {cpu} and ag.get_default_device() == cpu
    with pytest.raises(ZeroDivisionError), ag.device(device):
        1 / 0  # noqa: B018
    assert ag.zeros(1).device == cpu


def test_parts_of_complex_numbers() -> None:
    z = ag.complex(ag.tensor([1.0, 2.0]), ag.tensor([3.0, -4.0]))
    assert z.real.tolist() == [1, 2] and z.imag.tolist() == [3, -4] and z.conj().imag.tolist() == [-3, 4]
    x = ag.ones(2, requires_grad=True)
    assert x.real is x and x.conj() is x and not x.is_pinned()
    with pytest.raises(RuntimeError, match="imag"):
        _ = x.imag


def test_deprecated_names() -> None:
    with pytest.warns(FutureWarning, match="xavier_uniform_"):
        ag.nn.init.xavier_uniform(ag.empty(2, 2))
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        ag.nn.utils.clip_grad_norm([], 1.0)
    image = ag.arange(4.0).reshape(1, 1, 2, 2)
    with pytest.warns(UserWarning, match="interpolate"):
        larger = ag.nn.functional.upsample(image, scale_factor=2)
    np.testing.assert_array_equal(larger.numpy(), ag.nn.functional.interpolate(image, scale_factor=2).numpy())
