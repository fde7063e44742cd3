"""Posts annotations to Grafana."""

import time
from collections.abc import Sequence

import httpx

from observability_outputs.contract import OutputsError

_ATTEMPTS = 3
_BUSY = frozenset({429, 502, 503, 504})
"""Answers of a Grafana that starts or is asked too often: the same request may do in a moment."""
_WHY = {
    401: "the token is not Grafana's, or has expired",
    403: "the token may not annotate (accepted: one of a service account with the role Editor)",
    404: "no Grafana there",
}


def post(  # noqa: PLR0913 - what is posted, and how patiently
    url: str, token: str, text: str, tags: Sequence[str], *, timeout: float = 10, pause: float = 1
) -> int:
    """Post an annotation of this moment to `url`, Grafana's `/api/annotations`; returns its id.

    Tried three times, `pause` seconds apart, where nobody listens or the answer is to come later, and not where the
    request may have been taken; each attempt takes at most `timeout` seconds. Raises OutputsError, which never names
    the token.
    """
    if not token.isascii():
        raise OutputsError("the token is not one of Grafana's: it is not ASCII")
    # What a shell reads of a file ends with a newline.
    headers = {"Authorization": f"Bearer {token.strip()}"}
    problem = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(pause)
        try:
            answer = httpx.post(url, json={"text": text, "tags": list(tags)}, headers=headers, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = f"no answer: {type(error).__name__}"
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                continue
            break
        if answer.is_success:
            return _id(answer, url)
        problem = f"{answer.status_code}: {_WHY.get(answer.status_code, answer.reason_phrase)}"
        if answer.status_code not in _BUSY:
            break
    raise OutputsError(f"{url}: annotation not posted: {problem}")


def _id(answer: httpx.Response, url: str) -> int:
    try:
        return int(answer.json()["id"])
    except (ValueError, KeyError, TypeError):
        raise OutputsError(f"{url}: annotation not posted: the answer is not Grafana's") from None
