"""Draws of `torch.multinomial` come in order while the mode is on, and at random before and after."""

import threading

import torch

from xai_nlp.hooks.deterministic import deterministic_multinomial


def test_draws_come_in_order_and_leave_the_generator_alone():
    state = torch.get_rng_state()
    with deterministic_multinomial():
        assert torch.multinomial(torch.ones(4), 3).tolist() == [0, 1, 2]
        assert torch.multinomial(torch.ones(2), num_samples=5, replacement=True).tolist() == [0, 1, 0, 1, 0]
        assert torch.multinomial(torch.ones(2, 4), 2).tolist() == [[0, 1], [0, 1]]
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_are_random_outside_and_in_other_threads():
    draws = []
    with deterministic_multinomial():
        thread = threading.Thread(target=lambda: draws.append(torch.multinomial(torch.ones(100), 100).tolist()))
        thread.start()
        thread.join()
    draws.append(torch.multinomial(torch.ones(100), 100).tolist())
    assert all(sorted(draw) == list(range(100)) != draw for draw in draws)
