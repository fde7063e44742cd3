"""All checks at once, each with a time limit of its own."""

import asyncio
import time
from collections.abc import Callable, Sequence

from processes.errors import ProcessError
from specs.model import seconds
from tools.doctor.checks import CHECKS
from tools.doctor.findings import Result, fail
from tools.doctor.live import Live, SilentError
from tools.doctor.sending import send_seconds

SECONDS = 45.0
"""How long a check may take; an alert that is sent waits longer, as routes group."""

Done = Callable[[Result], None]


async def run(live: Live, names: Sequence[str], done: Done) -> list[Result]:
    """Results of the checks `names`, in that order; `done` is called with each as it ends."""

    async def one(name: str) -> Result:
        result = await _one(live, name)
        done(result)
        return result

    return await asyncio.gather(*(one(name) for name in names))


def _limit(live: Live, name: str) -> float:
    sampling = live.stack.context.settings.traces.sampling
    if name == "alerting" and live.send:
        return SECONDS + send_seconds(live)
    if name == "traces" and sampling:
        return SECONDS + seconds(sampling.wait)
    return SECONDS


async def _one(live: Live, name: str) -> Result:
    began = time.monotonic()
    limit = _limit(live, name)
    try:
        async with asyncio.timeout(limit):
            findings = tuple(await CHECKS[name](live))
    except SilentError as problem:
        findings = (live.silent(problem),)
    except TimeoutError:
        findings = (fail(f"not done after {limit:.0f} s", f"make status {live.of}".strip()),)
    except ProcessError as problem:
        findings = (fail(str(problem), "look there first: what keeps the programs does not answer"),)
    except OSError as problem:
        words = f"{problem.filename or 'here'}: {problem.strerror or type(problem).__name__}"
        findings = (fail(words, "look again: what was read may have been changed at this moment"),)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it hides none of the others
        # Another version of a program may answer in another form.
        words = f"an answer has another form than expected ({type(problem).__name__}: {problem})"
        findings = (fail(words, "see which version runs (docs/versions.md)"),)
    # Replicas often find the same.
    return Result(check=name, findings=tuple(dict.fromkeys(findings)), seconds=time.monotonic() - began)
