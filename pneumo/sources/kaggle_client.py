"""Kaggle's API over a session of ours: kagglesdk builds the requests and finds most credentials.

Its own HTTP client sets no time limit and keeps its session private. `import kaggle`, the command's package, prints
help or uses the network.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests

from pneumo.errors import SourceError
from pneumo.sources import resuming

_PRINTABLE = re.compile(r"[!-~]+")  # ASCII without spaces: what a header can hold


class Transport:
    """What the service clients of kagglesdk ask of their HTTP client: the method `call`."""

    def __init__(self, http: requests.Session) -> None:
        self.http = http

    def call(self, service: str, method: str, request: Any, response_type: Any) -> Any:
        """Send one request of the API. Raises requests.HTTPError if the answer is an error."""
        from kagglesdk.kaggle_env import KaggleEnv, get_endpoint

        url = f"{get_endpoint(KaggleEnv.PROD)}/v1/{service}/{method}"
        post = requests.Request(
            "POST", url, self.http.headers, json=type(request).to_dict(request), auth=self.http.auth
        )
        response = resuming.send(self.http, post.prepare())
        if "application/json" in response.headers.get("Content-Type", ""):
            answer = response.json()
            if isinstance(answer, dict) and answer.get("code", 0) >= 400:
                response.status_code = answer["code"]  # some errors come with status 200
                raise requests.HTTPError(answer.get("message"), response=response)
        response.raise_for_status()
        return response_type.prepare_from(response)


def log_in(http: requests.Session) -> None:
    """Sign the requests of `http` with the first of: token, API key, `kaggle auth login`; or leave them anonymous.

    Raises SourceError for credentials that are there and cannot be used. It names the file and shows nothing of it.
    """
    from kagglesdk.kaggle_http_client import KaggleHttpClient

    token = _access_token()
    if not token:
        http.auth = _api_key()
    if not token and not http.auth:
        token = _token_of_login(http)
    if token:
        http.auth = KaggleHttpClient.BearerAuth(token)


def _access_token() -> str | None:
    from kagglesdk.kaggle_env import get_access_token_from_env

    try:
        token, where = get_access_token_from_env()
    except (OSError, ValueError) as error:
        raise _unusable("~/.kaggle/access_token", f"it cannot be read ({type(error).__name__})") from None
    if token and not _PRINTABLE.fullmatch(token):
        where = "~/.kaggle/access_token" if where == "access_token" else where
        raise _unusable(where, f"a token is one line without spaces, and this is {len(token.splitlines())}")
    return token


def _api_key() -> tuple[str, str] | None:
    """KAGGLE_USERNAME and KAGGLE_KEY, or what kaggle.json has, in the folders where Kaggle's own client looks."""
    username, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if username and key:
        return username, key
    if username or key:
        print("KAGGLE_USERNAME and KAGGLE_KEY count only together, and one of them is missing", flush=True)
    named = os.environ.get("KAGGLE_CONFIG_DIR")
    folders = [named] if named else ["~/.kaggle", f"{os.environ.get('XDG_CONFIG_HOME') or '~/.config'}/kaggle"]
    for path in (Path(folder).expanduser() / "kaggle.json" for folder in folders):
        if path.exists():
            return _stored_key(path)
    return None


def _stored_key(path: Path) -> tuple[str, str]:
    try:
        stored = json.loads(path.read_bytes())  # UTF-8 with or without BOM, or UTF-16
    except (OSError, ValueError) as error:
        raise _unusable(path, f"it is not JSON that can be read ({type(error).__name__})") from None
    username, key = (stored.get(name) if isinstance(stored, dict) else None for name in ("username", "key"))
    if not (isinstance(username, str) and isinstance(key, str) and _PRINTABLE.fullmatch(username + key)):
        raise _unusable(path, 'expected {"username": "...", "key": "..."}')
    return username, key


def _token_of_login(http: requests.Session) -> str | None:
    from kagglesdk.kaggle_creds import KaggleCredentials
    from kagglesdk.users.services.account_service import AccountClient

    path = Path(KaggleCredentials.DEFAULT_CREDENTIALS_FILE).expanduser()
    if not path.exists():
        return None
    accounts = SimpleNamespace(account_client=AccountClient(Transport(http)))
    try:
        login = KaggleCredentials.load(SimpleNamespace(users=accounts))
    except Exception as error:  # AttributeError, ValueError, ...: of whatever the file holds
        raise _unusable(path, f"it is not what `kaggle auth login` writes ({type(error).__name__})") from None
    if login is None:
        raise _unusable(path, "it is not what `kaggle auth login` writes")
    return login.get_access_token()


def _unusable(where: str | Path, why: str) -> SourceError:
    return SourceError(f"Kaggle credentials in {where} cannot be used: {why}. Repair or remove them; nothing was sent")


def ask_for_zip(http: requests.Session, owner: str, slug: str, version: int) -> requests.Response:
    """The answer to a request for the whole zip, redirects followed, its body not read yet."""
    from kagglesdk.datasets.services.dataset_api_service import DatasetApiClient
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug, request.dataset_version_number = owner, slug, version
    return DatasetApiClient(Transport(http)).download_dataset(request)
