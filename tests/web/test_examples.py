"""Examples: requests that the embedded models take."""

from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import request_schema


def test_each_example_is_a_request_of_its_model(models):
    assert {example["model"] for example in examples()} == {"sentiment", "qa", "vqa", "image"}
    for example in examples():
        assert request_schema()(**example).keywords(models.explainer(example["model"]).task)
