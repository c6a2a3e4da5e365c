"""Large products with weights go to oneDNN where it is faster, with the same numbers and gradients; others do not."""

import gc
import threading
import weakref
from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from transformers.pytorch_utils import Conv1D

from xai_nlp.hooks import onednn
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.onednn import onednn_linear, onednn_products, onednn_products_of

ROWS, IN, OUT = 40, 512, 384


@pytest.fixture(autouse=True)
def handed(monkeypatch):
    """How many products are handed to oneDNN, on any processor."""
    shapes, run = [], onednn._run
    monkeypatch.setattr(onednn, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(onednn, "_run", lambda x, w, b: shapes.append(tuple(x.shape)) or run(x, w, b))
    return shapes


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(IN, OUT)


def x(*shape, **how):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), **how)


def strided(*shape):
    return x(*shape[:-1], 2 * shape[-1])[..., ::2]


VIEWS = {
    "plain": x(ROWS, IN),
    "three dimensions": x(5, 8, IN),
    "every other": strided(ROWS, IN),
    "turned": x(IN, ROWS).t(),
    "one row for all": x(1, IN).expand(ROWS, IN),
    "one number for all": torch.tensor(0.5).expand(ROWS, IN),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_and_its_gradient(name, bias, handed):
    weight, b = x(OUT, IN), x(OUT) if bias else None
    given = VIEWS[name].detach().requires_grad_()
    expected = torch.nn.functional.linear(given.double(), weight.double(), None if b is None else b.double())
    got = onednn_linear(given, weight, b)
    torch.testing.assert_close(got.double(), expected, atol=1e-4, rtol=1e-5)
    for seed in (x(*got.shape), torch.ones(()).expand_as(got)):
        (ours,) = torch.autograd.grad(got, given, seed, retain_graph=True)
        (reference,) = torch.autograd.grad(expected, given, seed.double(), retain_graph=True)
        torch.testing.assert_close(ours, reference.to(ours), atol=1e-4, rtol=1e-5)
    assert len(handed) == 3


@pytest.mark.parametrize(
    ("rows", "taken"), [([], []), ([3], [1]), ([0, 19, 39], [3]), (range(20), [20]), (range(21), [ROWS])]
)
def test_rows_without_a_gradient_take_part_in_no_product(rows, taken, handed):
    weight, given, seed = x(OUT, IN), x(5, 8, IN).requires_grad_(), torch.zeros(ROWS, OUT)
    got = onednn_linear(given, weight)
    handed.clear()
    seed[rows] = x(len(rows), OUT)
    seed[rows, 0] = 0  # a row may have a gradient though its first entry has none
    (ours,) = torch.autograd.grad(got, given, seed.view(5, 8, OUT))
    assert [shape[:-1] == torch.Size([5, 8]) or shape[0] for shape in handed] == [
        True if n == ROWS else n for n in taken
    ]
    torch.testing.assert_close(ours, (seed @ weight).view(5, 8, IN), atol=1e-4, rtol=1e-5)


def test_a_gradient_that_is_no_number_stays_none():
    weight, given, seed = x(OUT, IN), x(ROWS, IN).requires_grad_(), torch.zeros(ROWS, OUT)
    seed[7, 1:3] = torch.tensor([float("nan"), 1.0])
    (ours,) = torch.autograd.grad(onednn_linear(given, weight), given, seed)
    assert ours[7].isnan().all() and not ours[:7].any() and not ours[8:].any()


def test_gradients_of_gradients(layer):
    given = x(ROWS, IN).requires_grad_()

    def second(run):
        (first,) = torch.autograd.grad(run(given).sin().sum(), given, create_graph=True)
        return torch.autograd.grad(first.square().sum(), given)[0]

    expected = second(layer)
    with frozen_model(layer):
        torch.testing.assert_close(second(layer), expected, atol=1e-3, rtol=1e-4)


def test_layers_of_a_borrowed_model(layer, handed):
    gpt = Conv1D(OUT, IN)
    model = nn.Sequential(layer, nn.ReLU(), Conv1D(IN, OUT), gpt)
    with torch.no_grad():
        expected = model(x(ROWS, IN))
        with frozen_model(model):
            got = model(x(ROWS, IN))
    assert len(handed) == 3
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-5)


def test_weights_that_are_being_trained_are_constants(layer, handed):
    given = x(ROWS, IN).requires_grad_()
    (expected,) = torch.autograd.grad(layer(given).sum(), given)
    with onednn_products():
        assert not layer(x(ROWS, IN)).requires_grad
        (got,) = torch.autograd.grad(layer(given).sum(), given)
    assert len(handed) == 3
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-5)
    assert layer.weight.requires_grad
    assert layer.weight.grad is None


def test_a_small_model_is_left_alone(handed):
    small = nn.Linear(64, 64)
    with frozen_model(small):
        assert not torch.overrides._get_current_function_mode_stack()
    for elsewhere in (nn.Linear(IN, OUT, device="meta"), nn.Linear(IN, OUT, dtype=torch.float64)):
        with frozen_model(elsewhere):
            assert not torch.overrides._get_current_function_mode_stack()
    with frozen_model(nn.Linear(IN, OUT)):
        nn.functional.linear(x(2, IN), x(OUT, IN))
    assert not handed


def test_a_model_that_changes_is_looked_through_again():
    model, found = nn.Sequential(nn.Linear(64, 64)), []
    for change in (
        lambda: None,
        lambda: model.append(nn.Linear(IN, OUT)),
        model.double,
        model.float,
        lambda: model.pop(1),
    ):
        change()
        for _ in range(2):
            with frozen_model(model):
                found.append(len(torch.overrides._get_current_function_mode_stack()))
    assert found == [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]


def test_a_function_without_large_weights_is_left_alone_from_its_second_pass_on(layer, handed):
    small, modes = nn.Linear(64, 64), []

    def narrow(x):
        modes.append(len(torch.overrides._get_current_function_mode_stack()))
        return small(x)

    def around(x):
        return narrow(x)

    around.__wrapped__ = narrow
    for function in (narrow, narrow, around):
        with onednn_products_of(function):
            function(x(ROWS, 64))
    assert modes == [1, 0, 0]
    for rows in (1, ROWS, ROWS):  # products with one row are small, and the weight is large
        with onednn_products_of(wide := layer.forward), torch.no_grad():
            wide(x(rows, IN))
    assert len(handed) == 2


@pytest.mark.parametrize("large", [False, True])
def test_functions_are_told_apart_and_forgotten(large, layer, handed):
    module = layer if large else nn.Linear(64, 64)
    function = partial(nn.functional.linear, weight=module.weight.detach(), bias=None)

    def by_position(x):
        return nn.functional.linear(x, module.weight, module.bias)

    for _ in range(3):
        for one in (function, by_position):
            with onednn_products_of(one), torch.no_grad():
                one(x(ROWS, module.in_features))
    assert len(handed) == 3 * large
    known = [onednn._narrow[id(one)] for one in (function, by_position) if id(one) in onednn._narrow]
    assert len(known) == (1 if large else 2)
    del function, by_position, one
    assert [reference() for reference in known] == [None] * len(known)


def test_few_functions_are_remembered():
    functions = [partial(len) for _ in range(onednn.MOST_FUNCTIONS + 2)]
    for function in functions:
        with onednn_products_of(function):
            pass
    assert len(onednn._narrow) <= onednn.MOST_FUNCTIONS


def test_a_function_at_the_place_of_another_one_is_not_taken_for_it(layer, handed, monkeypatch):
    function, gone = partial(layer), partial(len)
    monkeypatch.setitem(onednn._narrow, id(function), weakref.ref(gone))
    with onednn_products_of(function), torch.no_grad():
        function(x(ROWS, IN))
    assert len(handed) == 1


def test_once_inside_itself(layer, handed):
    with frozen_model(layer), onednn_products(), onednn_products(layer):
        assert len(torch.overrides._get_current_function_mode_stack()) == 1
        layer(x(ROWS, IN))
    assert len(handed) == 1
    assert not torch.overrides._get_current_function_mode_stack()


def test_the_outermost_decides(layer, handed):
    with onednn_products(nn.Linear(2, 2)), onednn_products():
        layer(x(ROWS, IN))
    assert not handed


def test_after_an_error(layer, handed):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), onednn_products(layer):
            layer.requires_grad_(False)(x(ROWS, IN + 1))
    assert not torch.overrides._get_current_function_mode_stack()


def test_other_threads_are_left_alone(layer, handed):
    other = threading.Thread(target=lambda: layer(x(ROWS, IN)))
    with frozen_model(layer):
        other.start()
        other.join()
    assert not handed


def switched_off(layer):
    torch.backends.mkldnn.enabled = False
    try:
        layer(x(ROWS, IN))
    finally:
        torch.backends.mkldnn.enabled = True


def dual(layer):
    with forward_ad.dual_level():
        assert forward_ad.unpack_dual(layer(forward_ad.make_dual(x(ROWS, IN), x(ROWS, IN)))).tangent is not None


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, where it loads its formulas
@pytest.mark.parametrize(
    "run",
    {
        "double precision": lambda layer: layer.double()(x(ROWS, IN).double()),
        "half precision": lambda layer: layer.bfloat16()(x(ROWS, IN).bfloat16()),
        "autocast": lambda layer: torch.autocast("cpu", torch.bfloat16)(layer)(x(ROWS, IN)),
        "a vector": lambda layer: nn.functional.linear(x(IN * 64), x(100, IN * 64)),
        "torch.func": lambda layer: torch.func.vmap(layer)(x(4, ROWS, IN)),
        "torch.func's forward mode": lambda layer: torch.func.jvp(layer, (x(ROWS, IN),), (x(ROWS, IN),)),
        "dual numbers": dual,
        "meta": lambda layer: layer.to("meta")(torch.empty(ROWS, IN, device="meta")),
        "switched off": switched_off,
    }.values(),
)
def test_what_oneDNN_is_not_handed(run, layer, handed):
    with frozen_model(layer):
        run(layer)
    assert not handed


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_f": True}, torch.backends.mkl.is_available()),
        ({"cpu_name": "AMD EPYC", "avx512_f": False}, False),
        ({"cpu_name": "Intel Xeon", "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_by_the_name_of_the_processor(about, expected, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: about)
    assert onednn.onednn_is_faster.__wrapped__() is expected


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("bias", [True, False])
def test_more_shapes_than_are_kept_are_filled_up_and_give_the_same_bits(name, bias, monkeypatch):
    weight, b, given = x(OUT, IN), x(OUT) if bias else None, VIEWS[name].detach()
    monkeypatch.setattr(onednn, "_shapes", set())
    alone = onednn_linear(given, weight, b)
    monkeypatch.setattr(onednn, "SHAPES", 0)
    monkeypatch.setattr(onednn, "_shapes", set())
    filled = onednn_linear(given, weight, b)
    assert torch.equal(filled, alone) and filled.shape == alone.shape


def test_few_shapes_go_to_onednn_however_many_come(monkeypatch):
    weight, counts = x(OUT, IN), set()
    product = onednn._product
    monkeypatch.setattr(onednn, "_shapes", set())
    monkeypatch.setattr(onednn, "_product", lambda x, w, b: counts.add(x.shape[:-1].numel()) or product(x, w, b))
    rows = range(40, 1040, 3)
    for count in rows:
        onednn_linear(x(count, IN), weight)
    assert len(rows) > 300 and len(counts) <= onednn.SHAPES + 1024 / 32


def layouts(monkeypatch):
    """Is the weight of each product column-major? It is copied when it is used again."""
    monkeypatch.setattr(onednn, "USES_BEFORE_COPY", 2)
    column_major, product = [], onednn._product
    monkeypatch.setattr(
        onednn, "_product", lambda x, w, b: column_major.append(w.t().is_contiguous()) or product(x, w, b)
    )
    return column_major


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_weights_that_are_used_again_are_column_major(kind, monkeypatch):
    """Forward those of a linear layer, backward those of GPT-2's; the others lie well as they are."""
    layer, column_major = kind(IN, OUT) if kind is nn.Linear else kind(OUT, IN), layouts(monkeypatch)
    before = {name: (p.data_ptr(), p.stride(), p.detach().clone()) for name, p in layer.named_parameters()}
    given = x(ROWS, IN).requires_grad_()
    expected = layer(given)
    (slope,) = torch.autograd.grad(expected.sin().sum(), given)
    with frozen_model(layer):
        for _ in range(3):
            got = layer(given)
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(torch.autograd.grad(got.sin().sum(), given)[0], slope, atol=1e-5, rtol=1e-5)
    first = [False, True] if kind is nn.Linear else [True, False]
    assert column_major == [*first, True, True, True, True]
    for name, p in layer.named_parameters():
        pointer, stride, values = before[name]
        assert (p.data_ptr(), p.stride()) == (pointer, stride) and torch.equal(p, values)


def test_a_weight_that_was_written_on_is_copied_anew(layer, monkeypatch):
    monkeypatch.setattr(onednn, "USES_BEFORE_COPY", 2)
    given = x(ROWS, IN)
    with frozen_model(layer), torch.no_grad():
        for scale in (1, 2, -3):
            layer.weight.mul_(scale)
            for _ in range(3):
                expected = given.double() @ layer.weight.double().t() + layer.bias.double()
                torch.testing.assert_close(layer(given).double(), expected, atol=1e-4, rtol=1e-5)


def test_a_weight_that_was_swapped_is_copied_anew(layer, monkeypatch):
    monkeypatch.setattr(onednn, "USES_BEFORE_COPY", 2)
    given, others = x(ROWS, IN), [torch.randn(OUT, IN) for _ in range(4)]
    with frozen_model(layer), torch.no_grad():
        for other in others:
            layer.weight.data = other.clone()
            for _ in range(3):
                expected = given.double() @ other.double().t() + layer.bias.double()
                torch.testing.assert_close(layer(given).double(), expected, atol=1e-4, rtol=1e-5)


def test_the_place_of_a_weight_that_is_known_is_not_used_again(layer, monkeypatch):
    monkeypatch.setattr(onednn, "USES_BEFORE_COPY", 2)
    place = layer.weight.data_ptr()
    with frozen_model(layer), torch.no_grad():
        for _ in range(2):
            layer(x(ROWS, IN))
        layer.weight.data = torch.zeros(OUT, IN)
        others = [torch.empty(OUT, IN) for _ in range(8)]
        assert place not in [t.data_ptr() for t in others]


def test_large_models_and_functions_keep_no_copies(layer, monkeypatch):
    column_major = layouts(monkeypatch)
    with onednn_products(), torch.no_grad():
        for _ in range(3):
            layer(x(ROWS, IN))
    monkeypatch.setattr(onednn, "MOST_COPIED", IN * OUT - 1)
    with onednn_products(layer), torch.no_grad():
        for _ in range(3):
            layer(x(ROWS, IN))
    assert not any(column_major)


def test_copies_go_with_the_call(layer):
    with frozen_model(layer), torch.no_grad():
        for _ in range(onednn.USES_BEFORE_COPY):
            layer(x(ROWS, IN))
        copies = [weakref.ref(t) for t in gc.get_objects() if type(t) is torch.Tensor and t.shape == (OUT, IN)]
        assert copies
    assert not any(copy() is not None for copy in copies)


def test_a_table_of_embeddings_takes_part_in_no_product_unless_a_head_shares_it():
    table, head = nn.Embedding(3000, 32), nn.Linear(32, 3000, bias=False)
    assert onednn._large_entries(nn.Sequential(table, nn.Linear(32, 32)), None) == 0
    head.weight = table.weight
    assert onednn._large_entries(nn.Sequential(table, head), None) == 3000 * 32
