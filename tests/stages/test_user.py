"""A user id without a name, as in containers."""

import getpass
import os

import pytest

import stages

pwd = pytest.importorskip("pwd")


def test_a_user_without_a_name_is_given_one(monkeypatch):
    """torch asks for the name when it is imported, and getpwuid() knows none."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    stages._name_the_user()
    assert getpass.getuser() == f"uid{os.getuid()}"
