"""Kaggle's API over a session of ours: kagglesdk builds the requests and finds most credentials.

Its own HTTP client sets no time limit and keeps its session private. `import kaggle`, the command's package, prints
help or uses the network.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests

from pneumo.sources import resuming


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
    """Sign the requests of `http` with the first of: token, API key, `kaggle auth login`; or leave them anonymous."""
    from kagglesdk.kaggle_creds import KaggleCredentials
    from kagglesdk.kaggle_env import get_access_token_from_env
    from kagglesdk.kaggle_http_client import KaggleHttpClient
    from kagglesdk.users.services.account_service import AccountClient

    token, _ = get_access_token_from_env()
    if not token:
        http.auth = _api_key()
    if not token and not http.auth:
        accounts = SimpleNamespace(account_client=AccountClient(Transport(http)))
        login = KaggleCredentials.load(SimpleNamespace(users=accounts))
        token = login.get_access_token() if login else None
    if token:
        http.auth = KaggleHttpClient.BearerAuth(token)


def _api_key() -> tuple[str, str] | None:
    """KAGGLE_USERNAME and KAGGLE_KEY, or what ~/.kaggle/kaggle.json has."""
    username, key = os.environ.get("KAGGLE_USERNAME"), os.environ.get("KAGGLE_KEY")
    if username and key:
        return username, key
    try:
        stored = json.loads(Path("~/.kaggle/kaggle.json").expanduser().read_text(encoding="utf-8"))
        return stored["username"], stored["key"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None


def ask_for_zip(http: requests.Session, owner: str, slug: str, version: int) -> requests.Response:
    """The answer to a request for the whole zip, redirects followed, its body not read yet."""
    from kagglesdk.datasets.services.dataset_api_service import DatasetApiClient
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug, request.dataset_version_number = owner, slug, version
    return DatasetApiClient(Transport(http)).download_dataset(request)
