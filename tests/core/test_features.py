"""Features: which entries they cover, and how their scores lie over the entries."""

import pytest
import torch

from xai_nlp.core.features import FeatureMask, SlidingWindows, by_row
from xai_nlp.errors import InvalidInput


def test_features_that_hold_an_entry():
    x = (torch.zeros(2, 3), torch.zeros(2, 1))
    here = (torch.tensor([[True, False, False], [False, False, False]]), torch.tensor([[False], [True]]))
    groups = FeatureMask.of([torch.tensor([[5, 5, 8]]), torch.tensor([[8]])])
    assert groups.touched(torch.tensor([0, 1]), here).tolist() == [[True, False], [False, True]]
    windows = SlidingWindows.over(x, [(2,), (1,)], [1, 1])
    assert windows.touched(torch.tensor([0, 1]), here).tolist() == [[True, False, False], [False, False, True]]


def test_masks_with_any_numbers():
    features = FeatureMask.of([torch.tensor([[7, 7, 40]]), torch.tensor([[40, -1]])])
    assert features.count == 2
    assert features.present(2).tolist() == [[True, True]] * 2
    first, second = features.to_entries(torch.tensor([[[1.0, 2.0]]]))
    assert first.tolist() == [[[1, 1, 2]]]
    assert second.tolist() == [[[2, 0]]]


def test_windows_overlap_and_average():
    windows = SlidingWindows.over((torch.zeros(1, 5),), [(3,)], [2])
    assert windows.count == 2
    assert windows.ablation_mask(torch.tensor([0]), torch.tensor([[False, True]]))[0].tolist() == [
        [False, False, True, True, True]
    ]
    assert windows.to_entries(torch.tensor([[[1.0, 4.0]]]))[0].tolist() == [[[1, 1, 2.5, 4, 4]]]


def test_the_last_window_is_cut_at_the_edge():
    windows = SlidingWindows.over((torch.zeros(1, 4),), [(3,)], [2])
    assert windows.ablation_mask(torch.tensor([0]), torch.tensor([[False, True]]))[0].tolist() == [
        [False, False, True, True]
    ]


@pytest.mark.parametrize(("window", "stride"), [((6,), 1), ((2, 2), 1), ((2,), 3), ((2,), 0)])
def test_windows_that_do_not_fit(window, stride):
    with pytest.raises(InvalidInput):
        SlidingWindows.over((torch.zeros(1, 5),), [window], [stride])


def test_features_of_some_examples():
    features = FeatureMask((torch.tensor([[0, 0], [1, -1]]), torch.tensor([[2]])), 3)
    chosen = features.select(torch.tensor([1, 0, 1]))
    assert chosen.present(3).tolist() == [[False, True, True], [True, False, True], [False, True, True]]
    windows = SlidingWindows.over((torch.zeros(3, 5),), [(3,)], [2])
    assert windows.select(torch.tensor([0])).count == 2


def test_entries_of_several_tensors_are_numbered_through():
    features = FeatureMask.entries((torch.zeros(3, 2), torch.zeros(3, 2, 2)))
    assert [ids.tolist() for ids in features.ids] == [[[0, 1]], [[[2, 3], [4, 5]]]]
    assert features.count == 6


def test_masks_may_be_smaller_than_their_input_and_differ_by_example():
    """A mask (B, L, 1) over vectors (B, L, D): a token's vector is removed as a whole."""
    features = FeatureMask((torch.tensor([[[0], [1]], [[1], [-1]]]),), 2)
    entries = (torch.tensor([[[False, True], [False, False]], [[False, False], [True, True]]]),)
    assert features.touched(torch.tensor([0, 1]), entries).tolist() == [[True, False], [False, False]]
    (mask,) = features.ablation_mask(torch.tensor([1, 0]), torch.tensor([[False, True], [True, False]]))
    assert mask[..., 0].tolist() == [[True, False], [True, False]]
    assert features.present(2).tolist() == [[True, True], [False, True]]


def test_rows_of_single_numbers():
    assert by_row(torch.ones(3)).shape == (3, 1)
    assert by_row(torch.ones(3, 2, 4)).shape == (3, 8)
    assert by_row(torch.ones(3, 0)).shape == (3, 0)
