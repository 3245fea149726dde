from collections.abc import Iterator
from pathlib import Path

import pytest

from .drills import Drills
from .jobs import Server


@pytest.fixture(scope='session')
def drills(tmp_path_factory, motion_shapes: Path) -> Iterator[Drills]:
    server = Server()
    yield Drills(server, motion_shapes, tmp_path_factory.mktemp('drills'))
    server.close()
