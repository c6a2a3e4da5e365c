"""Settings: from a form, and back to it."""

from xai_nlp.insights.settings import Settings


def test_settings_of_a_form():
    settings = Settings(method="x", arguments={"steps": 2}).changed({"classes": ["a"], "examples": "7"})
    assert (settings.classes, settings.examples, settings.arguments) == (("a",), 7, {"steps": 2})
    assert settings.changed({"method": "y"}).arguments == {}  # they are options of x
    assert settings.to_dict()["classes"] == ["a"]


def test_examples_are_accepted_by_class_and_by_right_or_wrong():
    assert Settings(method="x").accept("a", None)
    assert not Settings(method="x", classes=("b",)).accept("a", True)
    wrong = Settings(method="x", prediction="incorrect")
    assert [wrong.accept("a", right) for right in (True, False, None)] == [False, True, True]
