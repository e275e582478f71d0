"""What the text after --model asks for."""

import re
from dataclasses import dataclass

from pneumo.errors import RegistryError

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_/-]*[A-Za-z0-9])?"  # GTO's names of artifacts and stages
FULL_NAME = rf"(?:[A-Za-z0-9_./-]+:)?{NAME}"  # with the folder of its dvc.yaml, if that is not the top
EXACT = r"v\d+\.\d+\.\d+\S*|[0-9a-f]{7,40}"  # a version or a commit
FORMS = "NAME@STAGE, NAME@VERSION, NAME, GIT-URL#STAGE or GIT-URL#NAME@STAGE"


@dataclass(frozen=True)
class Wanted:
    """repository: its URL or path, None for that of the current folder; name: the artifact's, None for the only one;
    which: its stage, version or commit, None for the newest version.

    bare: it has neither @ nor #, and may be the name of a folder that is not there.
    """

    text: str
    repository: str | None
    name: str | None
    which: str | None
    bare: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether it names what cannot move: a version or a commit, not a stage."""
        return self.which is not None and re.fullmatch(EXACT, self.which) is not None


def parse(text: str) -> Wanted | None:
    """What `text` asks of a registry; None where it can only be the path of a folder. Raises RegistryError."""
    if not text.isprintable():
        return None
    repository, hash_sign, rest = text.rpartition("#")
    if hash_sign:
        name, _, which = rest.rpartition("@")
        if not which or not repository or (name and not re.fullmatch(FULL_NAME, name)):
            raise RegistryError(f"--model {text} is neither a folder nor a model: expected {FORMS}")
        return Wanted(text, repository, name or None, which)
    name, at, which = rest.rpartition("@")
    if "://" in text or text.endswith(".git"):
        raise RegistryError(f"--model {text} is a repository: say which of its models you mean, as in '{text}#prod'")
    if at:
        if not which or not re.fullmatch(FULL_NAME, name):
            raise RegistryError(f"--model {text} is neither a folder nor a model: expected {FORMS}")
        return Wanted(text, None, name, which)
    is_name = re.fullmatch(FULL_NAME, text) and ("/" not in text or ":" in text)
    return Wanted(text, None, text, None, bare=True) if is_name else None
