"""Numbers, sizes and times as people read them."""

import pytest

from train.humanize import brief, byte_size, duration, shown


@pytest.mark.parametrize(("form", "value", "text"), [
    *((shown, *pair) for pair in ((1234567, "1,234,567"), (0.5, "0.5000"), (1e-7, "1e-07"), (True, "True"),
                                  ("x", "x"))),
    *((brief, *pair) for pair in ((1377920, "1.38\u00a0M"), (655360, "655\u00a0k"),
                                  (5.93e12, "5.93\u00a0T"), (12, "12"), (999, "999"))),
    *((byte_size, *pair) for pair in ((0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 19, "1.5 MiB"),
                                      (5 << 50, "5120.0 TiB"))),
    *((duration, *pair) for pair in ((0.4, "0.4 s"), (119, "1 min 59 s"), (528.7, "8 min 48 s"),
                                     (7384, "2 h 3 min"), (1e6, "11 d 13 h"))),
])  # fmt: skip
def test_a_number_for_people(form, value, text):
    assert form(value) == text


def test_a_unit_stands_apart_from_its_number_whatever_that_is():
    assert (brief(867, "B"), brief(1780, "B")) == ("867\u00a0B", "1.78\u00a0kB")
