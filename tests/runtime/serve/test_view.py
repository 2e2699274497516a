"""What the page shows of several sources."""

import numpy as np

from edgevit.runtime.moment import Moment
from edgevit.runtime.records import result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.view import View


def test_frames_of_the_same_number_from_two_cameras_are_not_mixed() -> None:
    view = View()
    for source in ("camera:0", "camera:1"):
        moment = Moment(source, 7, 0, 0)
        view.picture(np.zeros((8, 8, 3), np.uint8), moment)
        result = Result(np.array([1.0], np.float32), ("fox",), source, moment=moment)
        view.write(result_record(result, moment))
    shown = view.shown()
    assert shown.number == 2
    assert [record.moment.source for record in shown.answers] == ["camera:1"]


def test_a_file_that_is_given_twice_keeps_no_answer_of_the_first_time() -> None:
    view = View()
    for second, roi in enumerate(("gate", "pen")):
        moment = Moment("yard.jpg", 0, second, second, roi)
        result = Result(np.array([1.0], np.float32), ("fox",), "yard.jpg", moment=moment)
        view.write(result_record(result, moment))
    assert [record.moment.roi for record in view.shown().answers] == ["pen"]
