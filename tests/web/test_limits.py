"""Limits: requests fit their parts."""

from xai_nlp.web.limits import Limits


def test_a_request_has_room_for_an_image_and_its_texts():
    limits = Limits(image=300, letters=10)
    assert limits.request >= 4 * limits.image / 3 + limits.letters
    assert Limits().body < Limits().request < Limits().held
