import numpy as np
import pytest

from train.data.batches import batch_at, permuted, prefetch, window_count, windows_at


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 65, 1000])
def test_permutation_is_one(count):
    found = permuted(np.arange(count, dtype=np.uint64), count, seed=7, epoch=2)
    assert sorted(found.tolist()) == list(range(count))


def test_permutation_depends_on_seed_and_epoch():
    index = np.arange(1000, dtype=np.uint64)
    one = permuted(index, 1000, 1, 0)
    assert (one == permuted(index, 1000, 1, 0)).all() and (one != permuted(index, 1000, 2, 0)).mean() > 0.9
    assert (one != permuted(index, 1000, 1, 1)).mean() > 0.9


def test_permutation_is_these_numbers_on_every_platform():
    assert permuted(np.arange(10, dtype=np.uint64), 10, 0, 0).tolist() == [0, 7, 2, 5, 9, 6, 3, 4, 1, 8]


def test_neighbours_are_sent_apart():
    # A linear permutation would send all neighbours the same distance apart.
    found = permuted(np.arange(4096, dtype=np.uint64), 4096, 0, 0).astype(int)
    assert len(set(np.diff(found).tolist())) > 2000


def test_one_element_is_computed_alone():
    whole, one = permuted(np.arange(777, dtype=np.uint64), 777, 3, 4), np.array([[0], [5], [776]], np.uint64)
    assert [int(permuted(each, 777, 3, 4)[0]) for each in one] == whole[[0, 5, 776]].tolist()


def test_every_window_once_an_epoch_across_batch_borders():
    seen = np.concatenate([windows_at(10, 4, seed=5, step=s) for s in range(10)])  # four epochs of ten windows
    assert [sorted(seen[i : i + 10].tolist()) for i in range(0, 40, 10)] == [list(range(10))] * 4


def test_a_batch_larger_than_an_epoch_is_still_pure():
    assert windows_at(3, 8, 0, 1).tolist() == np.concatenate([windows_at(3, 1, 0, s) for s in range(8, 16)]).tolist()


def test_batch_holds_windows_and_their_targets():
    tokens = np.arange(100, dtype=np.uint16)
    batch = batch_at(tokens, context=7, batch=3, seed=0, step=0)
    assert batch.shape == (3, 8) and batch.dtype == np.int64
    assert (np.diff(batch) == 1).all() and (batch[:, 0] % 7 == 0).all()


@pytest.mark.parametrize(("tokens", "context", "windows"), [(0, 4, 0), (4, 4, 0), (5, 4, 1), (8, 4, 1), (9, 4, 2)])
def test_window_count(tokens, context, windows):
    assert window_count(tokens, context) == windows


def test_what_is_made_ahead_comes_in_order_each_once_and_its_errors_too():
    made = []
    found = prefetch(lambda number: made.append(number) or number * 10, range(3, 7))
    assert next(found) == (3, 30) and list(found) == [(4, 40), (5, 50), (6, 60)] and made == [3, 4, 5, 6]
    assert list(prefetch(str, range(0))) == []
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda number: 1 // number, range(2)))
