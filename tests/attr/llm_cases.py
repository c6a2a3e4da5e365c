"""Both libraries, and how two plots are compared."""

import captum.attr as captum
import numpy as np

import xai_nlp.attr as ours

BOTH = (captum, ours)


def alike(own, reference):
    """Two axes: what is drawn, in which colours, on which scale, under which names."""
    for here, there in zip(own.images, reference.images, strict=True):
        np.testing.assert_allclose(np.asarray(here.get_array(), float), np.asarray(there.get_array(), float), atol=1e-5)
        assert here.get_cmap()(0.3) == there.get_cmap()(0.3) and here.get_alpha() == there.get_alpha()
        np.testing.assert_allclose(here.get_clim(), there.get_clim(), atol=1e-5)
    texts = [[(t.get_text(), t.get_position(), t.get_color()) for t in ax.texts] for ax in (own, reference)]
    assert [(text, at) for text, at, _ in texts[0]] == [(text, at) for text, at, _ in texts[1]]
    assert texts[0] == texts[1]
    assert own.axison == reference.axison
    for axis in ("x", "y") if own.axison else ():
        labels = [
            [label.get_text() for label in getattr(ax, f"get_{axis}ticklabels")() if label.get_visible()]
            for ax in (own, reference)
        ]
        assert labels[0] == labels[1]
    bars = [[(p.get_x(), p.get_height(), p.get_facecolor()) for p in ax.patches] for ax in (own, reference)]
    np.testing.assert_allclose([b[:2] for b in bars[0]], [b[:2] for b in bars[1]])
    assert [b[2] for b in bars[0]] == [b[2] for b in bars[1]]
    assert own.get_ylabel() == reference.get_ylabel()
    np.testing.assert_allclose(own.figure.get_size_inches(), reference.figure.get_size_inches())
    beside = [[ax.get_ylabel() for ax in which.figure.axes] for which in (own, reference)]
    assert beside[0] == beside[1]
