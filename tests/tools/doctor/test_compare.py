"""Whether a configuration in effect has everything that is declared."""

import pytest

from tools.doctor.compare import declared_flags, differences, lines_apart, same


@pytest.mark.parametrize(
    ("declared", "effective"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": "24h"}, {"a": "1d"}),
        ({"a": "7d"}, {"a": "1w"}),
        ({"a": "10m"}, {"a": "10m0s"}),
        ({"a": "25MB"}, {"a": "25MiB"}),
        ({"a": "4096MB"}, {"a": "4GiB"}),
        ({"rule_files": ["rules/*.yml"]}, {"rule_files": ["../config/rules/*.yml"]}),
        ({"matchers": ['severity = "info"']}, {"matchers": ['severity="info"']}),
        ({"url": "https://example.com/hook"}, {"url": "<secret>"}),
        ({"password": "word"}, {"password": "********"}),
        ({"labels": {"replica": "${POD_NAME}"}}, {"labels": {"replica": "prometheus-0"}}),
        ({"auth_enabled": False, "regex": "", "wait": "0s", "none": {}}, {}),
        ([{"name": "b", "v": 1}, {"name": "a"}], [{"name": "a"}, {"name": "b", "v": 1}]),
        ({"size": 5}, {"size": "5"}),
    ],
)
def test_what_a_program_writes_in_a_form_of_its_own_is_the_same(declared: object, effective: object) -> None:
    """Proves that defaults, other units, absolute paths, hidden secrets and another order are no differences."""
    assert list(differences(declared, effective)) == []


@pytest.mark.parametrize(
    ("declared", "effective", "line"),
    [
        ({"a": {"b": "30d"}}, {"a": {"b": "15d"}}, "a.b is 15d, not 30d"),
        ({"a": {"b": 1}}, {"a": {}}, "a.b is missing"),
        ({"a": {"b": 1}}, {"a": "text"}, "a.b is missing"),
        ({"a": True}, {"a": False}, "a is False, not True"),
        ({"a": "25MB"}, {"a": "26MiB"}, "a is 26MiB, not 25MB"),
        ({"a": [1, 2]}, {"a": [1]}, "a has 1 entries, not 2"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1] is 3, not 2"),
        ({"jobs": [{"job_name": "x"}]}, {"jobs": [{"job_name": "y"}]}, "jobs[x] is missing"),
        ({"jobs": [{"job_name": "x"}]}, {"jobs": [{"job_name": "x"}, {"job_name": "y"}]}, "jobs[y] is not declared"),
        ({"jobs": [{"job_name": "x", "v": 1}]}, {"jobs": [{"job_name": "x", "v": 2}]}, "jobs[x].v is 2, not 1"),
        ({"a": "x"}, {"a": {"b": 1}}, "a is something else, not x"),
        ({"a": "x"}, {"a": None}, "a is nothing, not x"),
    ],
)
def test_a_difference_is_named_by_its_path(declared: object, effective: object, line: str) -> None:
    """Proves that each kind of difference is a line with where it is and both values."""
    assert line in list(differences(declared, effective))


def test_a_login_in_an_address_is_not_shown() -> None:
    """Proves that a difference never prints who logs in, nor with what."""
    (line,) = differences({"url": "https://me:hidden@a.example.com"}, {"url": "https://me:hidden@b.example.com"})

    assert "hidden" not in line
    assert "b.example.com" in line


def test_single_values_and_lines_and_flags() -> None:
    """Proves that near misses are differences, that lines are counted, and that flags are read as programs do."""
    assert not same("30d", "30")
    assert not same("rules/*.yml", "otherrules/*.yml")
    assert lines_apart("a\nb\n", "a\nc\n") == 2
    assert lines_apart("a\na\n", "a\n") == 1
    assert lines_apart("a\nb\n", "b\na\n") == 1
    assert declared_flags(["serve", "--a=b=c", "-d.e=1", "--on"]) == {"a": "b=c", "d.e": "1", "on": "true"}
