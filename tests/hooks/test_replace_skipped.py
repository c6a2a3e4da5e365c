"""Blocks that are not run again: what they gave out stands in for them, and nothing of that is left behind."""

import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from functools import wraps

import pytest
import torch
from torch import nn

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.attention import AttentionSite, Matrix, attention_site, below, matrices
from xai_nlp.hooks.evaluate import evaluate_sites
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.replace import outermost_blocks, replaced, skipped
from xai_nlp.hooks.scope import ModulePoint

TEXTS = ["A dull film.", "great", "The plot is thin and the ending is a mess, so"]
OWNER = torch.tensor([2, 0, 2, 1, 0])


def padded(name, texts=TEXTS):
    model, tokenizer = tiny(name, fresh=True)
    return model, dict(tokenizer(texts, padding=True, return_tensors="pt"))


def rows_of(batch, owner=OWNER):
    return {key: tensor[owner] for key, tensor in batch.items()}


@contextmanager
def counted(model):
    """How often each outermost block's own code runs: open it before what it is to watch."""
    calls, blocks = Counter(), outermost_blocks(model)

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


# Real models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_what_lies_below_does_not_run_and_the_logits_stay(name):
    model, batch = padded(name)
    before, plain = fingerprint(model), model(**rows_of(batch)).logits
    prefix_of = below(model, lambda: model(**batch))
    with counted(model) as every:
        model(**batch)
    assert set(every) == set(outermost_blocks(model))
    for part in prefix_of:
        with counted(model) as calls, skipped(part.passed, OWNER, len(TEXTS)):
            torch.testing.assert_close(model(**rows_of(batch)).logits, plain, atol=1e-5, rtol=1e-5)
        assert calls == every - Counter(module for module, _ in part.passed)
    assert fingerprint(model) == before
    assert [part.matrices for part in prefix_of] == sorted(part.matrices for part in prefix_of)
    assert len(prefix_of[-1].passed) >= 1
    assert not prefix_of[0].passed


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_a_matrix_is_counted_from_what_is_left(name):
    """Matrix n of the whole pass is matrix n − `matrices` of the pass that skips, with the same probabilities."""
    model, batch = padded(name)
    site = attention_site(model, lambda: model(**batch))
    (whole,) = evaluate_sites([site], lambda: model(**batch))
    for number, part in enumerate(below(model, lambda: model(**batch))):
        place = AttentionSite(model, site.matrices, (number - part.matrices,))
        with skipped(part.passed, OWNER, len(TEXTS)):
            ((found,),) = evaluate_sites([place], lambda: model(**rows_of(batch)))
        torch.testing.assert_close(found, whole[number][OWNER], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["bert", "albert", "t5"])
def test_gradients_above_are_those_of_the_whole_model(name):
    model, batch = padded(name)
    number = 1 if name != "t5" else 3  # the decoder's first cross attention
    site = attention_site(model, lambda: model(**batch))
    own = evaluate_sites([site], lambda: model(**batch))[0][number].detach()
    part = below(model, lambda: model(**batch))[number]
    gradients = []
    for values, count in (((), number), (part.passed, number - part.matrices)):
        leaf = (own[OWNER] * 0.5).requires_grad_()
        place = AttentionSite(model, site.matrices, (count,))
        with skipped(values, OWNER, len(TEXTS)), replaced([(place, [leaf])]):
            gradients.append(torch.autograd.grad(model(**rows_of(batch)).logits[:, 1].sum(), leaf)[0])
    assert gradients[0].abs().max() > 1e-4
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_shared_block_gives_its_turns_in_order_and_then_runs():
    model, batch = padded("albert")
    (block,) = outermost_blocks(model)
    turns = [ModulePoint(block, call=k) for k in range(3)]
    own = [tensors[0] for tensors in evaluate_sites(turns, lambda: model(**batch))]
    prefix_of = below(model, lambda: model(**batch))
    assert [part.matrices for part in prefix_of] == [0, 1, 2]
    with counted(model) as calls, skipped(prefix_of[2].passed, OWNER, len(TEXTS)):
        found = evaluate_sites(turns, lambda: model(**rows_of(batch)))
    assert calls == {block: 1}
    for now, given in zip(found, own, strict=True):
        torch.testing.assert_close(now[0], given[OWNER], atol=1e-5, rtol=0)


@torch.no_grad()
def test_t5_carries_its_position_bias_past_what_is_skipped():
    """Later blocks take the bias from the first one's output: a tuple, of which the bias may be one for all rows."""
    model, batch = padded("t5")
    part = below(model, lambda: model(**batch))[-1]
    assert all(isinstance(value, tuple) and len(value) > 1 for _, value in part.passed)
    assert {len(t) for _, value in part.passed for t in value if t is not None} == {1, len(TEXTS)}
    for owner in (torch.tensor([1]), torch.tensor([0, 1, 2]), OWNER):
        plain = model(**rows_of(batch, owner)).logits
        with skipped(part.passed, owner, len(TEXTS)):
            torch.testing.assert_close(model(**rows_of(batch, owner)).logits, plain, atol=1e-5, rtol=1e-5)
    model, batch = padded("t5", TEXTS[:1])  # a batch of one is as long as a bias
    plain, owner = model(**batch).logits, torch.tensor([0, 0])
    with skipped(below(model, lambda: model(**batch))[-1].passed, owner, 1):
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
    with skipped([(block, GIVEN)], OWNER, 3):
        assert torch.equal(block(X[OWNER], scale=2.0), GIVEN[OWNER])
    assert block.ran == 0
    assert torch.equal(block(X), X + 1)
    assert "forward" not in vars(block)


def test_tuples_and_dicts_keep_their_form_and_what_is_no_batch_stays_whole():
    bias, count, ids = torch.ones(1, 4), torch.tensor(0.5), torch.tensor([7, 8, 9])
    for form in (tuple, list):
        block = Block()
        with skipped([(block, form([GIVEN, None, bias, count, ids]))], OWNER, 3):
            found = block(X)
        assert type(found) is form
        assert torch.equal(found[0], GIVEN[OWNER])
        assert found[1] is None and found[2] is bias and found[3] is count and found[4] is ids
    block = Block()
    with skipped([(block, {"hidden": GIVEN, "bias": bias})], OWNER, 3):
        assert torch.equal(block(X)["hidden"], GIVEN[OWNER])


def test_values_that_are_used_up_let_the_block_run():
    block = Block()
    with skipped([(block, GIVEN), (block, 2 * GIVEN)], torch.arange(3), 3):
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
        with skipped([(first, GIVEN)], torch.arange(3), 3):
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
        stack.enter_context(skipped([(block, GIVEN)], torch.arange(3), 3))
        assert torch.equal(block(X), GIVEN)
        assert torch.equal(block(X), X - 5)
        1 // (not fails)
    assert block.forward is own


def test_hooks_of_a_skipped_block_still_see_what_it_gives_out():
    block, seen = Block(), []
    block.register_forward_hook(lambda module, args, output: seen.append(output))
    with skipped([(block, GIVEN)], torch.arange(3), 3):
        block(X)
    assert torch.equal(seen[0], GIVEN)


def test_inner_values_come_before_outer_ones():
    block = Block()
    with skipped([(block, GIVEN)], torch.arange(3), 3):
        with skipped([(block, 2 * GIVEN)], torch.arange(3), 3):
            assert torch.equal(block(X), 2 * GIVEN)
            assert torch.equal(block(X), GIVEN)  # what the outer one knows is left
            assert torch.equal(block(X), X + 1)
        assert torch.equal(block(X), X + 1)
    assert "forward" not in vars(block)


# Threads ------------------------------------------------------------------------------------------------------------


def test_another_thread_runs_the_block_itself():
    block, found = Block(), []
    with skipped([(block, GIVEN)], torch.arange(3), 3):
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
        with skipped([(block, GIVEN)], torch.arange(3), 3):
            first_is_in.set()
            assert second_is_in.wait(5)
            found["first"] = block(X)
        first_is_out.set()

    def second():
        assert first_is_in.wait(5)
        with skipped([(block, 2 * GIVEN)], torch.arange(3), 3):
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


# What counts as a block, and what a matrix is called ----------------------------------------------------------------


def test_outermost_blocks_are_members_of_lists_that_are_in_no_list():
    leaves = [nn.Linear(1, 1) for _ in range(4)]
    group = nn.Sequential(nn.ModuleList(leaves[:2]))
    net = nn.ModuleDict({"a": nn.ModuleList([group, leaves[2]]), "b": nn.Sequential(leaves[3])})
    assert outermost_blocks(net) == [group, leaves[2]]
    assert outermost_blocks(nn.ModuleList([group])) == [group]
    assert outermost_blocks(leaves[0]) == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_blocks_of_a_model_are_its_layers(name):
    model, _ = tiny(name)
    config = model.config
    layers = config.num_hidden_layers * (2 if config.is_encoder_decoder else 1)
    assert len(outermost_blocks(model)) == (1 if name == "albert" else layers)


@pytest.mark.parametrize("name", ["bert", "bart", "t5"])
def test_a_site_gives_and_takes_the_matrices_it_counts(name):
    model, batch = padded(name)
    site = attention_site(model, lambda: model(**batch))
    assert site.matrices == matrices(model, lambda: model(**batch))
    assert site.visits == len(site.matrices) == len(site.numbers)
    with torch.no_grad():
        (every,) = evaluate_sites([site], lambda: model(**batch))
        some = AttentionSite(model, site.matrices, (0, len(every) - 1))
        assert some.visits == 2
        (found,) = evaluate_sites([some], lambda: model(**batch))
        assert torch.equal(found[0], every[0])
        assert torch.equal(found[1], every[-1])
        with replaced([(some, [torch.zeros_like(t) for t in found])]):
            (now,) = evaluate_sites([site], lambda: model(**batch))
    assert [bool((t == 0).all()) for t in now] == [k in some.numbers for k in range(len(every))]
    with pytest.raises(InvalidInput, match="were given"), replaced([(some, [found[0]])]):
        model(**batch)
    assert type(model).__name__ in str(site)


@pytest.mark.parametrize(
    ("path", "paired", "stack"),
    [
        ("bert.encoder.layer.0.attention.self", False, "self"),
        ("model.encoder.layers.0.self_attn", True, "encoder"),
        ("model.decoder.layers.0.self_attn", True, "decoder"),
        ("model.decoder.layers.0.encoder_attn", True, "cross"),
        ("decoder.block.0.layer.0.SelfAttention", True, "decoder"),
        ("decoder.block.0.layer.1.EncDecAttention", True, "cross"),
        ("encoder.encoder.layer.0.attention.self", True, "encoder"),  # a pair of BERTs
        ("decoder.bert.encoder.layer.0.attention.self", True, "decoder"),
        ("decoder.bert.encoder.layer.0.crossattention.self", True, "cross"),
    ],
)
def test_stacks_are_told_by_the_modules_path(path, paired, stack):
    assert Matrix(path, 1, 2, 2, paired).stack == stack
