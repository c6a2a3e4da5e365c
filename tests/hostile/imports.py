"""Explanations with one field changed, opened over HTTP: refused with 422, or kept and drawn in every way."""

import json
from dataclasses import replace

import numpy as np

from tests.hostile.server import JSON, Server
from tests.hostile.trial import Trial, family
from tests.hostile.values import changed
from tests.recipes.saved import DOUBT
from tests.viz.samples import answered, made
from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution
from xai_nlp.viz.drawings import image


def samples():
    """An explanation of each form: plain, a pair with layers and attention, with a picture in boxes and in shapes."""
    pixels = np.random.default_rng(0).random((6, 8, 3))
    grid = image(pixels, (2, 2), [0.5, -1.0, 0.25, 0.0]).explanation.image
    assert isinstance(grid, ImageAttribution)
    shapes = replace(grid, grid=None, shapes=Array(np.arange(4).reshape(2, 2)))
    items = [made(), answered(), made(image=grid), made(image=shapes), made(gold=("POSITIVE",), trust=DOUBT)]
    return [json.loads(item.to_json()) for item in items]


@family("imports", quick=15, long=500)
def trials(random):
    server, whole = Server(), samples()
    try:
        for data in whole:
            yield Trial("unchanged", lambda data=data: run(server, json.dumps(data), {201}))
        while True:
            data, name = changed(random, random.choice(whole))
            if random.random() < 0.3:
                data, more = changed(random, data)
                name += f", {more}"
            yield Trial(name, lambda data=data: run(server, json.dumps(data), {201, 422}))
    finally:
        server.close()


def run(server, body, statuses):
    answer = server.ask("POST", "api/history", content=body, headers=JSON)
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    if answer.status_code == 201:
        id = answer.json()["id"]
        for path in (f"shown/{id}", f"changes/{id},{id}", *(f"files/{id}.{kind}" for kind in ("html", "json", "csv"))):
            assert server.ask("GET", f"api/{path}").status_code == 200, path
        assert server.ask("GET", f"api/files/{id}.png").status_code == 200, "its picture"
        assert server.ask("DELETE", f"api/history/{id}").status_code == 200
    server.is_well()
