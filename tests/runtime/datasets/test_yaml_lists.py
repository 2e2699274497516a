"""The little of YAML that data.yaml needs: each form in which tools write names."""

import pytest

from edgevit.errors import DataError
from edgevit.runtime.datasets.yaml_lists import read_yaml

HENS = ["hen", "red fox", "10", "farmer's cow", "a, b", "x # y", "it's"]
FORMS = {
    "names: [hen, red fox, 10, farmer's cow, 'a, b', \"x # y\", 'it''s']": HENS,
    "# made by hand\nnames:   # classes\n  - hen\n  - red fox\n  - 10\n  - farmer's cow\n  - 'a, b'\n"
    "  - \"x # y\"\n  - 'it''s'\n": HENS,
    "names:\n- hen\n- red fox\nnc: 2\n": ["hen", "red fox"],
    "names: [\n  'hen',   # first\n  'red fox',\n]\n": ["hen", "red fox"],
    "names:\n  0: hen\n  1: red fox   # two\n\n": {"0": "hen", "1": "red fox"},
    "names: {0: hen, 1: 'red: fox'}": {"0": "hen", "1": "red: fox"},
    '"names": ["k\\u00fche", "\\"q\\""]\r\n': ["kühe", '"q"'],
    "nested:\n  names: [a]\nnames: []\n": [],
    "---\nnames:\n    - hen\n...\n": ["hen"],
}


@pytest.mark.parametrize("text", FORMS)
def test_names_in_every_form(text: str) -> None:
    assert read_yaml(text, "data.yaml")["names"] == FORMS[text]


@pytest.mark.parametrize("text", FORMS)
def test_a_whole_yaml_reader_says_the_same(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    names = yaml.safe_load(text)["names"]
    plain = {str(key): str(name) for key, name in names.items()} if isinstance(names, dict) else list(map(str, names))
    assert read_yaml(text, "data.yaml")["names"] == plain


def test_one_level_of_keys_is_read_and_what_is_deeper_passed_over() -> None:
    text = "roboflow:\n  license: CC BY 4.0\n  deep:\n    license: no\n  url: https://h/x:1\npath: C:\\a b\nnc: 2\n"
    assert read_yaml(text, "data.yaml") == {
        "roboflow": {"license": "CC BY 4.0", "deep": "", "url": "https://h/x:1"},
        "path": "C:\\a b",
        "nc": "2",
    }


@pytest.mark.parametrize("text", ["names: [a, b", "names: ['a, b]", "names: {0: a", "names: [a]]", "names: [a] b"])
def test_what_is_never_closed_is_nothing(text: str) -> None:
    assert read_yaml(f"nc: 1\n{text}", "data.yaml") == {"nc": "1", "names": None}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("names: [hen]\nnames: [fox]\n", "names"),
        ("names: {0: hen, 0: fox}\n", "0"),
        ("names:\n  0: hen\n  0: fox\n", "0"),
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str, key: str) -> None:
    with pytest.raises(DataError, match=rf"farm/data\.yaml: the key '{key}' stands twice; leave one out"):
        read_yaml(text, "farm/data.yaml")


def test_the_first_of_several_documents_is_read() -> None:
    assert read_yaml("---\nnames: [hen]\n---\nnames: [fox]\n", "data.yaml") == {"names": ["hen"]}
