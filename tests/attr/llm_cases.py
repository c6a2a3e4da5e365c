"""Both libraries, and how two plots are compared."""

import captum.attr as captum
import numpy as np

import xai_nlp.attr as ours

BOTH = (captum, ours)


def alike(mine, theirs):
    """Two axes: what is drawn, in which colours, on which scale, under which names."""
    for here, there in zip(mine.images, theirs.images, strict=True):
        np.testing.assert_allclose(np.asarray(here.get_array(), float), np.asarray(there.get_array(), float), atol=1e-5)
        assert here.get_cmap()(0.3) == there.get_cmap()(0.3) and here.get_alpha() == there.get_alpha()
        np.testing.assert_allclose(here.get_clim(), there.get_clim(), atol=1e-5)
    told = [[(t.get_text(), t.get_position(), t.get_color()) for t in ax.texts] for ax in (mine, theirs)]
    assert [(text, at) for text, at, _ in told[0]] == [(text, at) for text, at, _ in told[1]]
    assert told[0] == told[1]
    assert mine.axison == theirs.axison
    for axis in ("x", "y") if mine.axison else ():
        labels = [
            [label.get_text() for label in getattr(ax, f"get_{axis}ticklabels")() if label.get_visible()]
            for ax in (mine, theirs)
        ]
        assert labels[0] == labels[1]
    bars = [[(p.get_x(), p.get_height(), p.get_facecolor()) for p in ax.patches] for ax in (mine, theirs)]
    np.testing.assert_allclose([b[:2] for b in bars[0]], [b[:2] for b in bars[1]])
    assert [b[2] for b in bars[0]] == [b[2] for b in bars[1]]
    assert mine.get_ylabel() == theirs.get_ylabel()
    np.testing.assert_allclose(mine.figure.get_size_inches(), theirs.figure.get_size_inches())
    beside = [[ax.get_ylabel() for ax in which.figure.axes] for which in (mine, theirs)]
    assert beside[0] == beside[1]
