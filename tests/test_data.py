"""Calibration and evaluation data: what is taken, and that it comes out in the graph's layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import edgecnn
from edgecnn.data import check_labels, load_file, to_feeds, user_shape
from edgecnn.errors import DataError, UserError
from edgecnn.fixedpoint import dequantize
from edgecnn.frontends.builder import GraphBuilder
from edgecnn.ir import Array, Graph, Shape
from tests.command_line import images, small_float, small_int8, two_inputs

X = images(6)
Y = np.arange(6)


class Batches:
    """Like a data loader of another framework: iterable, twice if need be, of (x, y)."""

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        for start in (0, 4):
            yield X[start : start + 4], Y[start : start + 4]


def loader(**options: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), **options)


FORMS: dict[str, Callable[[], Any]] = {
    "array": lambda: X,
    "float64": lambda: X.astype(np.float64),
    "with a batch of 1 each": lambda: X[:, None],
    "Fortran order": lambda: np.asfortranarray(X),
    "list of samples": lambda: list(X),
    "list of batches": lambda: [X[:4], X[4:]],
    "list of lists": X.tolist,
    "generator": lambda: (x for x in X),
    "tensor": lambda: torch.from_numpy(X),
    "tensor with gradient": lambda: torch.from_numpy(X).requires_grad_(),
    "list of tensors": lambda: list(torch.from_numpy(X)),
    "pairs": lambda: list(zip(X, Y, strict=True)),
    "batches of pairs": Batches,
    "DataLoader": lambda: loader(batch_size=4),
    "DataLoader of single samples": loader,
    "TensorDataset": lambda: TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
    "mapping": lambda: {"x": X},
    "list of mappings": lambda: [{"x": X[:2]}, {"x": X[2:]}],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_feeds(form: str) -> None:
    feeds = to_feeds(small_float(), FORMS[form]())
    assert list(feeds) == list(small_float().inputs)
    (array,) = feeds.values()
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, X.transpose(0, 2, 3, 1)[:, None])


def test_one_sample_is_enough() -> None:
    (array,) = to_feeds(small_float(), X[0]).values()
    assert array.shape == (1, 1, 8, 8, 1)


@pytest.mark.parametrize("shape", [(4, 2), (6,), (2, 3, 4)])
def test_only_a_batch_axis_of_one_may_be_left_out(shape: Shape) -> None:
    graph = GraphBuilder("net")
    graph.outputs.append(graph.emit("relu", [graph.add_input("x", shape)]))
    network = graph.finish()
    for samples in (1, 3):
        (array,) = to_feeds(network, np.ones((samples, *shape))).values()
        assert array.shape == (samples, *shape)
    assert to_feeds(network, np.ones(shape))["x"].shape == (1, *shape)
    with pytest.raises(DataError, match=rf"takes \(samples, {', '.join(map(str, shape))}\)"):
        to_feeds(network, np.ones((3, *shape[1:], 5)))


def test_an_int8_graph_takes_reals_and_int8() -> None:
    graph = small_int8()
    (reals,) = to_feeds(graph, X).values()
    assert reals.dtype == np.int8
    tensor = graph.tensors[graph.inputs[0]]
    back = dequantize(reals, tensor.scale, tensor.zero_point)[:, 0].transpose(0, 3, 1, 2)
    assert np.abs(back - X).max() <= tensor.scale * 0.5001
    codes = reals[:, 0].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(next(iter(to_feeds(graph, codes).values())), reals)


def test_the_shape_of_an_input_is_the_users() -> None:
    assert user_shape(small_float(), small_float().inputs[0]) == (1, 1, 8, 8)


@pytest.fixture(scope="module")
def two() -> Graph:
    return edgecnn.load(two_inputs(), (torch.zeros(1, 1, 6, 6), torch.zeros(1, 2, 4, 4)))


def pair(count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    return (
        rng.random((count, 1, 6, 6), dtype=np.float32),
        rng.random((count, 2, 4, 4), dtype=np.float32),
    )


def test_every_form_of_two_inputs(two: Graph) -> None:
    a, b = pair(6)
    tensors = TensorDataset(torch.from_numpy(a), torch.from_numpy(b), torch.arange(6))
    forms: list[Any] = [
        {"a": a, "b": b},
        [{"a": a[:3], "b": b[:3]}, {"a": a[3:], "b": b[3:]}],
        list(zip(a, b, strict=True)),
        [(a[:4], b[:4]), [a[4:], b[4:]]],
        [((a[:4], b[:4]), Y[:4]), ((a[4:], b[4:]), Y[4:])],
        [({"a": a, "b": b}, Y)],
        DataLoader(tensors, batch_size=4),
    ]
    for form in forms:
        feeds = to_feeds(two, form)
        np.testing.assert_array_equal(feeds["a"], a.transpose(0, 2, 3, 1)[:, None])
        np.testing.assert_array_equal(feeds["b"], b.transpose(0, 2, 3, 1)[:, None])


BAD_TWO: dict[str, tuple[Callable[[Array, Array], Any], str]] = {
    "one array": (lambda a, b: a, "inputs a, b"),
    "one missing": (lambda a, b: {"a": a}, "nothing for input 'b'"),
    "one missing in a list": (lambda a, b: [(a,)], "nothing for input 'b'"),
    "unequal numbers": (lambda a, b: {"a": a, "b": b[:2]}, "different numbers of samples"),
    "swapped": (lambda a, b: [(b, a)], "shape"),
}


@pytest.mark.parametrize("case", BAD_TWO)
def test_wrong_data_of_two_inputs(case: str, two: Graph) -> None:
    make, expected = BAD_TWO[case]
    with pytest.raises(DataError, match=expected):
        to_feeds(two, make(*pair(3)))


BAD: dict[str, tuple[Any, str]] = {
    "no item": ([], "empty"),
    "an empty item": ([[]], "empty"),
    "an empty array": (np.zeros((0, 1, 8, 8)), "empty"),
    "an exhausted generator": (iter(()), "empty"),
    "none": (None, "NoneType"),
    "a number": (3, "int"),
    "a path": (Path("x.npy"), "Path"),
    "text": ("x.npy", "numbers are needed"),
    "objects": (np.array([None]), "numbers are needed"),
    "a list of nothing": ([None], "numbers are needed"),
    "ragged": ([[[1.0], [1.0, 2.0]]], "array"),
    "NaN in one batch": ([X, X * np.nan], "NaN"),
    "another name": ({"y": X}, "nothing for input 'x'"),
    "wrong shape in one batch": ([X, X[:, :, :4]], "shape"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_data(case: str) -> None:
    data, expected = BAD[case]
    with pytest.raises(DataError, match=expected):
        to_feeds(small_float(), data)


def test_an_iterable_that_breaks_is_the_users_own_error() -> None:
    def broken() -> Iterator[Array]:
        yield X
        raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        to_feeds(small_float(), broken())


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", x=X)
    np.savez_compressed(tmp_path / "xy.npz", x=X, y=Y)
    for name, has_labels in (("x.npy", False), ("x.npz", False), ("xy.npz", True)):
        x, y = load_file(tmp_path / name)
        np.testing.assert_array_equal(x, X)
        assert (y is not None) == has_labels
    a, b = pair(2)
    np.savez(tmp_path / "pair.npz", a=a, b=b, other=X)
    columns, _ = load_file(tmp_path / "pair.npz", ("a", "b"))
    assert isinstance(columns, dict)
    assert list(columns) == ["a", "b"]
    np.testing.assert_array_equal(columns["b"], b)
    with pytest.raises(DataError, match="no array 'c'"):
        load_file(tmp_path / "pair.npz", ("a", "c"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["x.npy", "x.npz", "packed.npz"])
def test_changed_bytes_in_files(name: str, tmp_path: Path) -> None:
    """A damaged file is read or refused: no other exception, no warning."""
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "x.npz", x=X, y=Y)
    np.savez_compressed(tmp_path / "packed.npz", x=X, y=Y)
    sound = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    refusals = 0
    for round_ in range(400):
        data = bytearray(sound)
        for at in rng.integers(0, min(len(data), 200 if round_ % 2 else len(data)), 2):
            data[at] = rng.integers(0, 256)
        path = tmp_path / f"changed{Path(name).suffix}"
        path.write_bytes(data[: rng.integers(0, len(data))] if round_ % 5 == 0 else data)
        try:
            load_file(path)
        except UserError:
            refusals += 1
    assert refusals > 50


def test_labels() -> None:
    checked = check_labels(np.array([1, 2], np.uint8), 2, "f")
    assert checked.dtype == np.int64
    for labels, expected in (
        (None, "no labels"),
        (np.array([1.0, 2.0]), "integers"),
        (np.array([[1], [2]]), "integers"),
        (np.array([1]), "2 samples but 1 labels"),
    ):
        with pytest.raises(DataError, match=expected):
            check_labels(labels, 2, "f")
