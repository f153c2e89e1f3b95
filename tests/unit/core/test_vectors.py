import torch

from probes.machine.vectors import VectorPool


def test_vectors_that_were_given_back_are_handed_out_again_as_zeros() -> None:
    pool = VectorPool()
    first = pool.zeros(5, torch.float32, "cpu")
    assert first.dtype == torch.float32
    assert torch.equal(first, torch.zeros(5))
    second = pool.zeros(5, torch.float32, "cpu")
    first += 1
    assert torch.equal(second, torch.zeros(5))
    pool.take_back([first])
    again = pool.zeros(5, torch.float32, torch.device("cpu"))
    assert again.data_ptr() == first.data_ptr()
    assert torch.equal(again, torch.zeros(5))


def test_a_vector_of_another_size_or_type_is_a_new_one() -> None:
    pool = VectorPool()
    first = pool.zeros(6, torch.float32, "cpu")
    pool.take_back([first])
    for other in (pool.zeros(5, torch.float32, "cpu"), pool.zeros(6, torch.bfloat16, "cpu")):
        assert other.data_ptr() != first.data_ptr()
    assert other.dtype == torch.bfloat16
    assert other.shape == (6,)
