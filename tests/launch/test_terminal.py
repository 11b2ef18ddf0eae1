"""What a person sees, and that the work goes on when nobody looks any more."""

from __future__ import annotations

import io
import os
import pty

import pytest

from launch.terminal import Terminal


def test_a_step_says_how_long_it_took() -> None:
    output = io.StringIO()
    with Terminal(output).step("Something starts"):
        assert output.getvalue() == ""
    assert output.getvalue() == "✓ Something starts 0.0 s\n"


def test_a_step_that_fails_is_not_ticked_off() -> None:
    output = io.StringIO()
    with pytest.raises(ValueError, match="broken"), Terminal(output).step("Something starts"):
        raise ValueError("broken")
    assert output.getvalue() == ""


@pytest.mark.parametrize("opened", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_the_work_goes_on_when_nobody_reads(opened: type) -> None:
    ends = opened()
    reader, writer = (ends[0], ends[1])
    with os.fdopen(writer, "w", buffering=1) as stream:
        terminal = Terminal(stream)
        terminal.say("heard")
        os.close(reader)
        done = []
        for number in range(3):
            with terminal.step("Something stops"):
                done.append(number)
        terminal.rows([("not", "heard")])
    assert done == [0, 1, 2]
