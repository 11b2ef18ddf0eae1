"""What libraries log joins our own lines, without what people wrote."""

from __future__ import annotations

import io
import json
import logging

from launch.logs import libraries_heard
from server.core import log


def test_a_librarys_error_becomes_one_line_without_its_arguments() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw)
    library = logging.getLogger("some.library")
    with libraries_heard(log.logger("INFO", stream)):
        try:
            raise ValueError("the diagnosis")
        except ValueError:
            library.exception("could not keep %s", "the diagnosis")
        library.info("not worth a line")
    (line,) = raw.getvalue().splitlines()
    said = json.loads(line)
    assert said["library"] == "some.library"
    assert said["said"] == "could not keep %s"
    assert said["error"].endswith("ValueError")
    assert "diagnosis" not in line.decode()
    library.warning("nobody listens any more")
    assert len(raw.getvalue().splitlines()) == 1
