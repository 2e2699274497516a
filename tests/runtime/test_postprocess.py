import numpy as np

from edgevit.runtime.postprocess import sigmoid, softmax, top_classes


def test_softmax_of_logs_is_their_shares() -> None:
    logits = np.log(np.array([[1, 2, 5], [3, 3, 2]], np.float32))
    np.testing.assert_allclose(softmax(logits), [[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]], rtol=1e-6)


def test_huge_logits_do_not_overflow() -> None:
    shares = softmax(np.array([[1e38, -1e38, 0]], np.float32))
    np.testing.assert_array_equal(shares, [[1, 0, 0]])
    assert shares.dtype == np.float32


def test_sure_row_does_not_take_the_precision_of_another() -> None:
    logits = np.array([[1000, 1000, 1000 - np.log(2)], [-np.log(2), 0, 0]], np.float32)
    np.testing.assert_allclose(softmax(logits), [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]], rtol=1e-4)


def test_softmax_is_along_the_last_axis_of_any_number() -> None:
    logits = np.log(np.array([[[1, 2, 5], [3, 3, 2]], [[4, 2, 2], [1, 1, 6]]], np.float32))
    np.testing.assert_allclose(softmax(logits).sum(axis=2), np.ones((2, 2)), rtol=1e-6)
    np.testing.assert_allclose(softmax(logits)[1], [[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(softmax(logits[0, 0]), [0.125, 0.25, 0.625], rtol=1e-6)


def test_equals_among_many_classes_keep_their_order() -> None:
    # three scores that take turns, as a quick sort leaves few in their order
    scores = np.tile(np.array([0.5, 0.75, 0.25], np.float32), 17)
    assert top_classes(scores, 51).tolist() == [*range(1, 51, 3), *range(0, 51, 3), *range(2, 51, 3)]


def test_classes_are_ranked_and_equals_keep_their_order() -> None:
    scores = np.array([0.1, 0.4, 0.1, 0.4], np.float32)
    assert top_classes(scores, 3).tolist() == [1, 3, 0]
    assert top_classes(scores, 10).tolist() == [1, 3, 0, 2]


def test_sigmoid_is_half_at_zero_and_does_not_overflow() -> None:
    shares = sigmoid(np.array([[0, np.log(3), -np.log(3), 1e38, -1e38]], np.float32))
    np.testing.assert_allclose(shares, [[0.5, 0.75, 0.25, 1, 0]], rtol=1e-6)
