"""How much the server takes from one request, keeps and waits for."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of the server; what is beyond them is refused with the bound in the message.

    Sizes are in bytes unless named otherwise, times in seconds.
    """

    letters: int = 20_000  # of a text
    words: int = 500  # letters of a question, an answer, a baseline, a name
    methods: int = 6  # side by side
    number: int = 4096  # the size of an option: steps, samples, a seed
    cells: int = 99  # of a grid of regions, along a side
    image: int = 8 * MIB
    pixels: int = 20_000_000
    upload: int = 32 * MIB  # a saved explanation that is opened again
    body: int = 64 * 1024  # any other request
    held: int = 256 * MIB  # request bodies in memory at once, beyond the first `body` bytes of each
    queue: int = 64  # jobs that wait
    compared: int = 8  # entries on one page
    rows_at_once: int = 50  # rows of a data set that one job explains
    models: int = 12  # offered at once
    file: int = 256 * MIB  # a data file
    listed: int = 500  # entries of a folder
    rows: int = 100_000  # of a data set
    connections: int = 500
    client_connections: int = 400  # of one address
    streams: int = 24  # of events to one address
    tokens: int = 50_000  # of the explanations of an opened file, together; as many regions, layers and names
    numbers: int = 4_000_000  # of its matrices, together
    drawings: int = 2  # at once
    draw_time: float = 60.0
    draw_memory: int = 2048 * MIB
    unwritten: int = 100  # finished jobs whose results wait until the history can be written again
    copied: int = 1024 * MIB  # weights of a model that are copied, so that quick questions pass slow ones
    quick: float = 2.0  # a question that takes longer is no quick one
    header_time: float = 10.0
    body_time: float = 30.0

    @property
    def request(self) -> int:
        """A request to explain, with texts and an image, which travels as base64."""
        return 2 * self.image + 8 * self.letters


LIMITS = Limits()
