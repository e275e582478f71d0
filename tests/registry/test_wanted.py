import pytest

from pneumo.errors import RegistryError
from pneumo.registry.wanted import parse

URL = "https://example.org/you/pneumo.git"


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("pneumonia-classifier@prod", (None, "pneumonia-classifier", "prod", False)),
        ("pneumonia-classifier@v1.2.0", (None, "pneumonia-classifier", "v1.2.0", True)),
        ("pneumonia-classifier@v1.2.0-rc.1", (None, "pneumonia-classifier", "v1.2.0-rc.1", True)),
        ("pneumonia-classifier@1a2b3c4d5e", (None, "pneumonia-classifier", "1a2b3c4d5e", True)),
        ("pneumonia-classifier", (None, "pneumonia-classifier", None, False)),
        ("sub/folder:classifier@prod", (None, "sub/folder:classifier", "prod", False)),
        (f"{URL}#prod", (URL, None, "prod", False)),
        (f"{URL}#v1.2.0", (URL, None, "v1.2.0", True)),
        (f"{URL}#classifier@prod", (URL, "classifier", "prod", False)),
        ("git@example.org:you/pneumo.git#prod", ("git@example.org:you/pneumo.git", None, "prod", False)),
        ("../bare.git#v1", ("../bare.git", None, "v1", False)),
        ("/where/a#b/bare.git#prod", ("/where/a#b/bare.git", None, "prod", False)),
    ],
)
def test_a_name_says_repository_artifact_and_version(text, asks):
    wanted = parse(text)
    assert (wanted.repository, wanted.name, wanted.which, wanted.is_exact) == asks


@pytest.mark.parametrize(
    "text", ["models/best", "./best", "/where/best", "..", "best.old", "C:\\models\\best", "", "a\nb#prod"]
)
def test_a_path_is_no_name(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (URL, "is a repository: say which of its models"),
        ("git@example.org:you/pneumo.git", "is a repository: say which of its models"),
        (f"{URL}#", "is neither a folder nor a model"),
        ("#prod", "is neither a folder nor a model"),
        ("classifier@", "is neither a folder nor a model"),
        ("@prod", "is neither a folder nor a model"),
        ("the model@prod", "is neither a folder nor a model"),
        (f"{URL}#--upload-pack=x@prod", "is neither a folder nor a model"),
    ],
)
def test_what_is_of_no_form_says_which_there_are(text, error):
    with pytest.raises(RegistryError, match=error):
        parse(text)
