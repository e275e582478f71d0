"""The files of an artifact at a commit, by DVC: from its cache on this machine, or from the repository's remote."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pneumo.errors import BundleError, MissingExtra, RegistryError
from pneumo.registry.git import MISSING, shown
from pneumo.registry.tags import Version
from pneumo.serving import contract

OWN_CACHE = "auto-generated-upstream"  # DVC's name for it in place of a remote


@dataclass(frozen=True)
class Artifact:
    """Of a commit: its path in the repository, the hash that dvc.lock has of it, and the remote as its project names
    it, None where it names none.
    """

    version: Version
    path: str
    md5: str
    remote: str | None
    _repository: Any

    def fetch(self, to: Path) -> None:
        """Write the folder `to`. Raises RegistryError, MissingExtra."""
        from dvc.fs import download
        from dvc_data.index import DataIndexDirError

        with _told(self.version, f"from {self.remote or 'a remote'}"):
            try:
                download(self._repository.dvcfs, self.path, str(to))
            except DataIndexDirError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise error.__cause__ or error from None
                raise RegistryError(self._not_there()) from None
            except FileNotFoundError:
                raise RegistryError(self._not_there()) from None

    def check(self, folder: Path) -> None:
        """Raises RegistryError where `folder` holds no exported model."""
        try:
            contract.read(folder)
        except BundleError as error:
            reason = str(error).replace(str(folder), self.path.lstrip("/"))
            raise RegistryError(f"{self.version}: `pneumo predict` cannot use it: {reason}") from None

    def _not_there(self) -> str:
        if self.remote is None:
            return (
                f"{self.version}: .dvc/config of that commit names no remote to fetch from. In the project, run `dvc "
                "remote add -d NAME URL`, commit, `dvc push`, and register the new commit"
            )
        return (
            f"{self.version}: {self.remote} does not have its files, or cannot be reached. Whoever has "
            f"them can push them: `dvc push --all-tags {self.path.lstrip('/')}`"
        )


@contextmanager
def artifact(root: Path, version: Version, *, url: str | None) -> Iterator[Artifact]:
    """The artifact of `version`. Raises RegistryError where that commit has none that could be fetched.

    root: a working tree, whose cache and settings DVC then uses, too, or, with its `url`, a copy of another's tags.
    """
    try:
        from dvc.repo import Repo
    except ImportError:
        raise MissingExtra(MISSING) from None
    with tempfile.TemporaryDirectory() as objects, _told(version, "by DVC"):
        about: dict[str, Any] = {"rev": version.commit, "subrepos": True, "uninitialized": True}
        if url:
            opened = Repo(str(root), url=url, config={"cache": {"dir": objects}}, **about)
        else:
            opened = Repo.open(str(root), **about)
        with opened as repository:
            yield _located(repository, version)


def _located(repository: Any, version: Version) -> Artifact:
    """As `dvc.api.artifacts_show` does, with the hash."""
    from dvc.exceptions import ArtifactNotFoundError, NotDvcRepoError, OutputNotFoundError
    from dvc.repo import Repo

    files = repository.fs
    folder, _ = repository.artifacts.parse_path(version.name)
    top = files.join(files.root_marker, folder) if folder else files.root_marker
    at = f"dvc.yaml of commit {version.commit[:10]}"
    try:
        with Repo(top, fs=files, scm=repository.scm) as project:
            path = files.join(files.root_marker, Path(project.artifacts.get_path(version.name)).as_posix())
            (output,) = project.find_outs_by_path(path)
            remote = _remote(repository.config if repository.dvc_dir else project.config, output.remote)
    except NotDvcRepoError:
        raise RegistryError(f"{version}: that commit has no DVC project. Register one that has") from None
    except ArtifactNotFoundError:
        raise RegistryError(
            f"{version}: {at} has no such artifact. Add it under `artifacts`, commit, and register that commit"
        ) from None
    except OutputNotFoundError:
        raise RegistryError(
            f"{version}: {at} names {path.lstrip('/')}, which is not the output of a stage or .dvc file. Correct the "
            "path, commit, and register that commit"
        ) from None
    hashed = output.hash_info
    if not hashed:
        raise RegistryError(
            f"{version}: dvc.lock of that commit lacks {path.lstrip('/')}: it was registered before `dvc repro` ran, "
            "or without dvc.lock. Run `dvc repro`, commit dvc.lock, and register that commit"
        )
    if not hashed.isdir:
        raise RegistryError(
            f"{version}: {path.lstrip('/')} is a file. `pneumo predict` uses the folder of an exported model: name it "
            "as the artifact's path in dvc.yaml, commit, and register that commit"
        )
    return Artifact(version, path, hashed.value.removesuffix(".dir"), remote, repository)


def _remote(config: Mapping[str, Any], name: str | None) -> str | None:
    name = name or config["core"].get("remote")
    url = config["remote"].get(name, {}).get("url") if name not in (None, OWN_CACHE) else None
    return f"remote {name} ({shown(url)})" if url else None


@contextmanager
def _told(version: Version, how: str) -> Iterator[None]:
    """Errors of DVC, its storage libraries and the network, which have no common base, in one line."""
    try:
        yield
    except (RegistryError, MissingExtra):
        raise
    except ImportError as error:
        raise MissingExtra(f"{version} cannot be fetched {how}: {error}. Install it with pip") from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise RegistryError(
            f"{version} cannot be fetched {how}: {type(error).__name__}: {reason}. For details run `dvc get` or `dvc "
            "artifacts get` on the same repository"
        ) from error
