"""What is done before a place: it is not run again, and only where the output stays what it is."""

import threading

import pytest
import torch
from torch import nn

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.prefix_cache import cached_prefixes, use_cached
from xai_nlp.hooks.scope import ModulePoint, replaced, tensors_at

B, WIDTH = 3, 4
OWNER = torch.tensor([2, 0, 0, 1, 2])


def x(rows=B, *more, seed=0):
    return torch.randn(rows, *more, WIDTH, generator=torch.Generator().manual_seed(seed))


def deep(*inner):
    """Some layers between two others."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), *inner, nn.Linear(WIDTH, WIDTH)).eval()


def ran(net, run):
    """How often each module's own code runs."""
    calls = {}
    with pytest.MonkeyPatch.context() as patch:
        for cls in {type(m) for m in net.modules() if not list(m.children())}:
            own = cls.forward

            def counting(self, *args, own=own, **kwargs):
                calls[self] = calls.get(self, 0) + 1
                return own(self, *args, **kwargs)

            patch.setattr(cls, "forward", counting)
        run()
    return calls


def recorded(net, place, given=None):
    given = x() if given is None else given
    before = fingerprint(net)
    (prefix,) = cached_prefixes([place], lambda owner: net(given[owner]), torch.arange(len(given)))
    assert fingerprint(net) == before
    return [module for module, _ in prefix.outputs], prefix


def test_the_outermost_that_are_done():
    block = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())
    net = deep(block, nn.Tanh())
    modules, prefix = recorded(net, ModulePoint(net[-1], "input"))
    assert modules == [net[0], block, net[2]]
    moved = x(5, seed=7)
    with torch.no_grad():
        expected = net[-1](moved)

        def again():
            with use_cached(prefix, OWNER, B), replaced([(ModulePoint(net[-1], "input"), [moved])]):
                torch.testing.assert_close(net(x()[OWNER]), expected)

        assert set(ran(net, again)) == {net[-1]}


def test_the_layer_itself_is_done_where_its_output_is_the_place():
    net = deep(nn.Tanh())
    assert recorded(net, ModulePoint(net[1]))[0] == [net[0], net[1]]
    assert recorded(net, ModulePoint(net[1], "input"))[0] == [net[0]]


def test_one_pass_gives_the_prefix_of_each_point():
    net = deep(nn.Tanh(), nn.Tanh())
    points = [ModulePoint(net[2]), ModulePoint(net[1])]
    second, first = cached_prefixes(points, lambda owner: net(x()[owner]), torch.arange(B))
    assert [module for module, _ in first.outputs] == [net[0], net[1]]
    assert [module for module, _ in second.outputs] == [net[0], net[1], net[2]]


def test_a_layer_that_is_used_again_after_the_place():
    again = nn.Linear(WIDTH, WIDTH)
    net = deep(again, nn.Tanh(), again)
    modules, prefix = recorded(net, ModulePoint(net[2]))
    assert modules == [net[0], again, net[2]]
    with use_cached(prefix, OWNER, B):
        torch.testing.assert_close(net(x()[OWNER]), net(x())[OWNER])


def test_what_would_save_little_does_not_count():
    net = deep(*[nn.Tanh() for _ in range(9)])
    assert recorded(net, ModulePoint(net[0]))[0] == []


def test_what_would_take_much_memory_does_not_count(monkeypatch):
    net = deep(nn.Tanh(), nn.Tanh())
    monkeypatch.setattr("xai_nlp.hooks.prefix_cache.MOST_ENTRIES", 3 * B * WIDTH)
    assert recorded(net, ModulePoint(net[2]))[0] == [net[0], net[1], net[2]]
    monkeypatch.setattr("xai_nlp.hooks.prefix_cache.MOST_ENTRIES", 3 * B * WIDTH - 1)
    assert recorded(net, ModulePoint(net[2]))[0] == []


class Written(nn.Module):
    """Goes on with what a layer wrote on, not with what that gave out."""

    def __init__(self):
        super().__init__()
        self.first, self.act, self.second = nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        hidden = self.first(x)
        self.act(hidden)
        return self.second(hidden)


def test_a_model_that_needs_what_a_layer_wrote_on():
    net = Written().eval()
    assert recorded(net, ModulePoint(net.second, "input"))[0] == []


def test_an_activation_in_place():
    net = deep(nn.ReLU(inplace=True), nn.ReLU(inplace=True))
    modules, prefix = recorded(net, ModulePoint(net[2]))
    assert modules == [net[0], net[1], net[2]]
    with use_cached(prefix, OWNER, B):
        torch.testing.assert_close(net(x()[OWNER]), net(x())[OWNER])


def test_what_is_in_training_mode_runs_again():
    net = deep(nn.Sequential(nn.Tanh(), nn.Dropout()), nn.Tanh())
    net[1][1].train()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Dropout, "forward", lambda self, x: x)  # so that outputs can be compared
        assert recorded(net, ModulePoint(net[-1]))[0] == [net[0], net[1][0], net[2], net[-1]]


class Turned(nn.Module):
    """Has its rows in the second dimension, inside."""

    def __init__(self):
        super().__init__()
        self.first, self.flat = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.flat(self.first(x.transpose(0, 1)).transpose(0, 1).mean(1))


@pytest.mark.parametrize("length", [B, B + 2])  # as many as rows, and not
def test_rows_that_are_not_in_the_first_dimension(length):
    net = Turned().eval()
    assert recorded(net, ModulePoint(net.flat, "input"), x(B, length))[0] == []


def test_the_others_are_done_where_one_has_its_rows_elsewhere():
    net = deep(nn.Tanh(), Turned(), nn.Tanh()).eval()
    modules, _ = recorded(net, ModulePoint(net[2].flat, "input"), x(B, B + 2))
    assert modules == [net[0], net[1]]


class Largest(nn.Module):
    def forward(self, x):
        return x.argmax(1)


def test_numbers_of_things_are_found_again():
    torch.manual_seed(1)
    begin = [nn.Linear(WIDTH, WIDTH), nn.Tanh()]
    net = nn.Sequential(*begin, Largest(), nn.Embedding(WIDTH, WIDTH), nn.Linear(WIDTH, 2)).eval()
    modules, prefix = recorded(net, ModulePoint(net[3]))
    assert modules == [*begin, net[3]]
    with use_cached(prefix, OWNER, B):
        torch.testing.assert_close(net(x()[OWNER]), net(x())[OWNER])


class Mixed(nn.Module):
    """Each row takes the next one's."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return self.last(self.first(x).roll(1, 0))


def test_rows_that_depend_on_each_other():
    net = Mixed().eval()
    assert recorded(net, ModulePoint(net.last, "input"))[0] == []


def test_a_model_that_breaks_without_what_is_skipped():
    class Remembering(nn.Module):
        """A layer that leaves its rows where a later one looks for them."""

        def __init__(self):
            super().__init__()
            self.first, self.last, self.seen = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), []

        def forward(self, x):
            return self.last(self.first(x)) + self.seen.pop()

    net = Remembering().eval()
    own = net.first.forward
    net.first.forward = lambda x: net.seen.append(x) or own(x)
    assert recorded(net, ModulePoint(net.last, "input"))[0] == []


def test_a_layer_with_a_state_beside_its_output():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.act, self.last = nn.LSTM(WIDTH, WIDTH, batch_first=True), nn.Tanh(), nn.Linear(WIDTH, 2)

        def forward(self, x):
            out, (hidden, _) = self.lstm(x)
            return self.last(self.act(out[:, -1]) + hidden[-1])

    net = Reading().eval()
    assert recorded(net, ModulePoint(net.act), x(B, 6))[0] == [net.act]


def test_an_error_is_the_models_own_and_leaves_nothing():
    net = deep(nn.Tanh())
    before = fingerprint(net)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        cached_prefixes([ModulePoint(net[1])], lambda owner: net(torch.ones(len(owner), WIDTH + 1)), torch.arange(B))
    assert fingerprint(net) == before


def test_an_error_that_the_model_catches():
    class Trying(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good, self.last = nn.Linear(9, 9), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

        def forward(self, x):
            try:
                return self.last(self.bad(x))
            except RuntimeError:
                return self.last(self.good(x))

    net = Trying().eval()
    assert recorded(net, ModulePoint(net.last))[0] == [net.good, net.last]


def test_another_thread_is_not_followed():
    net = deep(nn.Tanh())

    def run(owner):
        other = threading.Thread(target=lambda: net(x()))
        other.start()
        other.join()
        return net(x()[owner])

    (prefix,) = cached_prefixes([ModulePoint(net[1])], run, torch.arange(B))
    assert [module for module, _ in prefix.outputs] == [net[0], net[1]]


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_real_models_go_on_from_their_last_layer(name):
    model, tokenizer = tiny(name, fresh=True)
    model.eval()
    batch = dict(tokenizer(["A dull film.", "great", "The plot is thin, so"], padding=True, return_tensors="pt"))

    def run(owner):
        return model(**{key: tensor[owner] for key, tensor in batch.items()}).logits

    layers = [module for path, module in model.named_modules() if path.rsplit(".", 1)[-1].isdigit()]
    layer = layers[-1]
    plain = run(OWNER)
    (tensors,) = tensors_at([ModulePoint(layer)], lambda: run(torch.arange(B)))
    (prefix,) = cached_prefixes([ModulePoint(layer)], run, torch.arange(B))
    with use_cached(prefix, OWNER, B), replaced([(ModulePoint(layer), [t[OWNER] for t in tensors])]):
        torch.testing.assert_close(run(OWNER), plain, atol=1e-5, rtol=1e-4)
    assert prefix.outputs
