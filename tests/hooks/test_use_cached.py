"""A cached prefix in use: its modules do not run, their outputs stand in for them, and nothing is left behind."""

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import wraps

import pytest
import torch
from torch import nn

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.hooks.attention import attention_points
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.prefix_cache import CachedPrefix, cached_prefixes, use_cached
from xai_nlp.hooks.scope import ModulePoint, replaced, tensors_at
from xai_nlp.models.attention_families import attention_reach

TEXTS = ["A dull film.", "great", "The plot is thin and the ending is a mess, so"]
OWNER = torch.tensor([2, 0, 2, 1, 0])


def padded(name, texts=TEXTS):
    model, tokenizer = tiny(name, fresh=True)
    return model, dict(tokenizer(texts, padding=True, return_tensors="pt"))


def rows_of(batch, owner=OWNER):
    return {key: tensor[owner] for key, tensor in batch.items()}


def blocks_of(model):
    """The layers of a model: members of ModuleLists that are in no other ModuleList."""
    if isinstance(model, nn.ModuleList):
        return list(model)
    return [block for child in model.children() for block in blocks_of(child)]


@contextmanager
def counted(model):
    """How often each layer's own code runs: open it before what it is to watch."""
    calls, blocks = Counter(), blocks_of(model)

    def counting(own):
        @wraps(own)
        def forward(self, *args, **kwargs):
            calls[self] += 1
            return own(self, *args, **kwargs)

        return forward

    with pytest.MonkeyPatch.context() as patch:
        for cls in {type(block) for block in blocks}:
            patch.setattr(cls, "forward", counting(cls.forward))
        yield calls


def prefixes_of(model, batch):
    """The attention points of a pass, each with its prefix."""
    points = attention_points(attention_reach(model), lambda: model(**batch))
    everyone = torch.arange(len(batch["input_ids"]))
    return list(
        zip(points, cached_prefixes(points, lambda owner: model(**rows_of(batch, owner)).logits, everyone), strict=True)
    )


# Real models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_the_prefix_does_not_run_and_the_logits_stay(name):
    model, batch = padded(name)
    before, plain = fingerprint(model), model(**rows_of(batch)).logits
    prefixes = prefixes_of(model, batch)
    with counted(model) as every:
        model(**batch)
    for _, prefix in prefixes:
        with counted(model) as calls, use_cached(prefix, OWNER, len(TEXTS)):
            torch.testing.assert_close(model(**rows_of(batch)).logits, plain, atol=1e-5, rtol=1e-5)
        not_run = Counter(module for module, _ in prefix.outputs) + Counter(dict(prefix.runs))
        assert calls == Counter({module: every[module] - not_run[module] for module in every})
    assert fingerprint(model) == before
    sizes = [sum(prefix.runs.values()) for _, prefix in prefixes]
    assert sizes == sorted(sizes)
    assert prefixes[-1][1].outputs
    assert (
        not prefixes[0][1].outputs
        or "embeddings" in str([type(module) for module, _ in prefixes[0][1].outputs]).lower()
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_the_probabilities_above_a_prefix_are_those_of_the_whole_pass(name):
    model, batch = padded(name)
    prefixes = prefixes_of(model, batch)
    whole = tensors_at([point for point, _ in prefixes], lambda: model(**batch))
    for (point, prefix), (own,) in zip(prefixes, whole, strict=True):
        with use_cached(prefix, OWNER, len(TEXTS)):
            ((again,),) = tensors_at([prefix.after(point)], lambda: model(**rows_of(batch)))
        torch.testing.assert_close(again, own[OWNER], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["bert", "albert", "t5"])
def test_gradients_above_are_those_of_the_whole_model(name):
    model, batch = padded(name)
    point, prefix = prefixes_of(model, batch)[1 if name != "t5" else 3]  # the decoder's first cross attention
    own = tensors_at([point], lambda: model(**batch))[0][0].detach()
    gradients = []
    for cached, there in ((CachedPrefix(), point), (prefix, prefix.after(point))):
        leaf = (own[OWNER] * 0.5).requires_grad_()
        with use_cached(cached, OWNER, len(TEXTS)), replaced([(there, [leaf])]):
            gradients.append(torch.autograd.grad(model(**rows_of(batch)).logits[:, 1].sum(), leaf)[0])
    assert gradients[0].abs().max() > 1e-4
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_shared_block_gives_its_turns_in_order_and_then_runs():
    model, batch = padded("albert")
    (block,) = blocks_of(model)
    turns = [ModulePoint(block, call=k) for k in range(3)]
    own = [tensors[0] for tensors in tensors_at(turns, lambda: model(**batch))]
    prefixes = prefixes_of(model, batch)
    assert [point.call for point, _ in prefixes] == [0, 1, 2]
    _, prefix = prefixes[2]
    assert prefix.runs[prefixes[2][0].module] == 2
    with counted(model) as calls, use_cached(prefix, OWNER, len(TEXTS)):
        again = tensors_at(turns, lambda: model(**rows_of(batch)))
    assert calls == {block: 1}
    for now, before in zip(again, own, strict=True):
        torch.testing.assert_close(now[0], before[OWNER], atol=1e-5, rtol=0)


@torch.no_grad()
def test_t5_carries_its_position_bias_past_the_prefix():
    """Later blocks take the bias from the first one's output: a tuple, of which the bias may be one for all rows."""
    model, batch = padded("t5")
    _, prefix = prefixes_of(model, batch)[-1]
    blocks = [output for module, output in prefix.outputs if "Block" in type(module).__name__]
    assert blocks and all(isinstance(output, tuple) and len(output) > 1 for output in blocks)
    for owner in (torch.tensor([1]), torch.tensor([0, 1, 2]), OWNER):
        plain = model(**rows_of(batch, owner)).logits
        with use_cached(prefix, owner, len(TEXTS)):
            torch.testing.assert_close(model(**rows_of(batch, owner)).logits, plain, atol=1e-5, rtol=1e-5)
    model, batch = padded("t5", TEXTS[:1])  # a batch of one is as long as a bias
    plain, owner = model(**batch).logits, torch.tensor([0, 0])
    with use_cached(prefixes_of(model, batch)[-1][1], owner, 1):
        torch.testing.assert_close(model(**rows_of(batch, owner)).logits, plain[[0, 0]], atol=1e-5, rtol=1e-5)


# Blocks of our own --------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Says when it runs, and adds one; gives out whatever form is asked for."""

    def __init__(self, form=lambda x: x):
        super().__init__()
        self.form, self.ran = form, 0

    def forward(self, x, scale=1.0):
        self.ran += 1
        return self.form(x * scale + 1)


X = torch.arange(6.0).view(3, 2)
GIVEN = -X


def test_each_row_gets_its_examples_value():
    block = Block()
    with use_cached(CachedPrefix(((block, GIVEN),)), OWNER, 3):
        assert torch.equal(block(X[OWNER], scale=2.0), GIVEN[OWNER])
    assert block.ran == 0
    assert torch.equal(block(X), X + 1)
    assert "forward" not in vars(block)


def test_tuples_and_dicts_keep_their_form_and_what_is_no_batch_stays_whole():
    bias, count, ids = torch.ones(1, 4), torch.tensor(0.5), torch.tensor([7, 8, 9])
    for form in (tuple, list):
        block = Block()
        with use_cached(CachedPrefix(((block, form([GIVEN, None, bias, count, ids])),)), OWNER, 3):
            found = block(X)
        assert type(found) is form
        assert torch.equal(found[0], GIVEN[OWNER])
        assert found[1] is None and found[2] is bias and found[3] is count and found[4] is ids
    block = Block()
    with use_cached(CachedPrefix(((block, {"hidden": GIVEN, "bias": bias}),)), OWNER, 3):
        assert torch.equal(block(X)["hidden"], GIVEN[OWNER])


def test_values_that_are_used_up_let_the_block_run():
    block = Block()
    with use_cached(
        CachedPrefix(
            (
                (block, GIVEN),
                (block, 2 * GIVEN),
            )
        ),
        torch.arange(3),
        3,
    ):
        assert torch.equal(block(X), GIVEN)
        assert torch.equal(block(X), 2 * GIVEN)
        assert block.ran == 0
        assert torch.equal(block(X), X + 1)


@pytest.mark.parametrize("how", ["body", "block"])
def test_blocks_come_back_after_an_error(how):
    def burst(x):
        raise ZeroDivisionError

    first, second = Block(), Block(burst if how == "block" else lambda x: x)

    def run():
        with use_cached(CachedPrefix(((first, GIVEN),)), torch.arange(3), 3):
            second(first(X))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert "forward" not in vars(first)
    assert torch.equal(first(X), X + 1)


@pytest.mark.parametrize("fails", [False, True])
def test_a_forward_that_was_patched_before_stays_patched(fails):
    block = Block()

    def own(x):  # as accelerate does
        return x - 5

    block.forward = own
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(ZeroDivisionError) if fails else ExitStack())
        stack.enter_context(use_cached(CachedPrefix(((block, GIVEN),)), torch.arange(3), 3))
        assert torch.equal(block(X), GIVEN)
        assert torch.equal(block(X), X - 5)
        1 // (not fails)
    assert block.forward is own


def test_hooks_of_a_skipped_block_still_see_what_it_gives_out():
    block, seen = Block(), []
    block.register_forward_hook(lambda module, args, output: seen.append(output))
    with use_cached(CachedPrefix(((block, GIVEN),)), torch.arange(3), 3):
        block(X)
    assert torch.equal(seen[0], GIVEN)


def test_inner_values_come_before_outer_ones():
    block = Block()
    with use_cached(CachedPrefix(((block, GIVEN),)), torch.arange(3), 3):
        with use_cached(CachedPrefix(((block, 2 * GIVEN),)), torch.arange(3), 3):
            assert torch.equal(block(X), 2 * GIVEN)
            assert torch.equal(block(X), GIVEN)  # what the outer one knows is left
            assert torch.equal(block(X), X + 1)
        assert torch.equal(block(X), X + 1)
    assert "forward" not in vars(block)


# Threads ------------------------------------------------------------------------------------------------------------


def test_another_thread_runs_the_block_itself():
    block, found = Block(), []
    with use_cached(CachedPrefix(((block, GIVEN),)), torch.arange(3), 3):
        thread = threading.Thread(target=lambda: found.append(block(X)))
        thread.start()
        thread.join()
        assert torch.equal(block(X), GIVEN)
    assert torch.equal(found[0], X + 1)


@pytest.mark.parametrize("patched", [False, True])
def test_threads_that_skip_at_once_may_end_in_any_order(patched):
    """The first to come is the first to go: the other's values must stay in force, and nothing be left at the end."""
    block, found = Block(), {}
    if patched:
        block.forward = own = lambda x: x - 5
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def first():
        with use_cached(CachedPrefix(((block, GIVEN),)), torch.arange(3), 3):
            first_is_in.set()
            assert second_is_in.wait(5)
            found["first"] = block(X)
        first_is_out.set()

    def second():
        assert first_is_in.wait(5)
        with use_cached(CachedPrefix(((block, 2 * GIVEN),)), torch.arange(3), 3):
            second_is_in.set()
            assert first_is_out.wait(5)
            found["second"] = block(X)

    threads = [threading.Thread(target=work) for work in (first, second)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert torch.equal(found["first"], GIVEN)
    assert torch.equal(found["second"], 2 * GIVEN)
    assert block.ran == 0
    assert vars(block).get("forward") is (own if patched else None)
