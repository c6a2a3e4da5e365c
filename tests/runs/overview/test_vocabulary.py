"""Words as numbers."""

from xai_nlp.runs.overview.vocabulary import Vocabulary


def test_case_and_white_space_do_not_count():
    vocabulary = Vocabulary()
    assert vocabulary.numbers(["Straße", " STRASSE", "strasse ", "…", "3D", ""]).tolist() == [0, 0, 0, 1, 2, 3]
    assert vocabulary.words == ["strasse", "…", "3d", ""]
    assert vocabulary.lexical.tolist() == [True, False, True, False]
    assert vocabulary.number(" Strasse") == 0 and vocabulary.number("new") is None and len(vocabulary) == 4
    assert vocabulary.numbers([]).shape == (0,)
