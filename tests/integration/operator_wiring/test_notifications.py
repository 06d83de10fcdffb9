"""Webhooks of the real operator, at a real receiver that is away at first."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from alcove_api import keys
from alcove_api.notifications import NotificationLedger
from tests.cluster.stores import free_port
from tests.integration.operator_wiring.test_flow import FINISHED, root_store, run_status, score
from tests.integration.operator_wiring.world import BLUE, NAMESPACE, World, wait_for
from tests.webhook_receiver import receiving

pytestmark = pytest.mark.integration
CUP = "told"
SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()


def ledger(world: World) -> NotificationLedger | None:
    store, key = root_store(world), keys.notification_ledger(NAMESPACE, CUP)
    if not list(store.list_objects(keys.MAIN_BUCKET, prefix=key)):
        return None
    return NotificationLedger.model_validate_json(store.get_object(keys.MAIN_BUCKET, key).read())


def test_a_receiver_that_is_away_gets_everything_once_it_is_back_and_no_run_waits_for_it(
    world: World,
) -> None:
    port, folder = free_port(), Path(world.operator.environment["ALCOVE_NOTIFICATION_SECRETS"])
    (folder / "signed.url").write_text(f"http://127.0.0.1:{port}/signed\n")
    (folder / "signed.secret").write_text(SECRET)
    (folder / "chat.url").write_text(f"http://127.0.0.1:{port}/chat")
    (folder / "stray.url").write_text(f"http://localhost:{port}/stray")
    events = ["submission.ended", "quota.used-up"]
    hooks = [
        {"name": "signed", "events": events},
        {"name": "chat", "events": ["submission.ended"], "format": "slack"},
        # Its host is not one that may be sent to, though it is the same machine.
        {"name": "stray", "events": events},
    ]
    world.open_competition(CUP, notifications=hooks, limits={"perDay": 1})
    world.join(BLUE, CUP)
    wait_for("the ledger", lambda: ledger(world))
    uid = world.submission("told", CUP, BLUE)["metadata"]["uid"]
    world.running(pod := world.pod_of(job := world.job(f"r-{uid[:8]}")))
    world.ended(pod, 0, FINISHED)
    world.finish(job)
    score(world, world.job(f"s-{uid[:8]}"), 0.75)
    # Nobody answers at that port, and the run ends as ever.
    wait_for("it is done", lambda: run_status(world, "told", BLUE).get("phase") == "Done" or None)
    wait_for("notices wait", lambda: ((found := ledger(world)) and len(found.pending) >= 5) or None)
    world.operator.kill()
    with receiving(port) as receiver:
        world.operator.start()
        wait_for("both events", lambda: set(receiver.types("/signed")) == set(events) or None)
        wait_for("the chat", lambda: receiver.types("/chat") or None)
        for path, headers, body in receiver.got:
            if path == "/signed":
                assert Webhook(SECRET).verify(body, headers)["data"]["team"] == BLUE
                with pytest.raises(WebhookVerificationError):
                    Webhook(SECRET).verify(body.replace(BLUE.encode(), b"another"), headers)
        (chat,) = {body for path, _, body in receiver.got if path == "/chat"}
        assert json.loads(chat).keys() == {"text"}
        assert f"{BLUE}/told" in json.loads(chat)["text"]
        assert not [path for path, *_ in receiver.got if path == "/stray"]
        wait_for(
            "all is taken", lambda: {e.webhook for e in _require_ledger(world).pending} == {"stray"} or None
        )
        assert any(entry.attempts for entry in _require_ledger(world).pending), (
            "it was tried, and refused here"
        )
        # A repetition has the same ID, so that a receiver can tell it; a redirect is not followed.
        ids = [headers["webhook-id"] for path, headers, _ in receiver.got if path == "/signed"]
        assert len(set(ids)) == 2
        receiver.status = 302
        world.submission("refused", CUP, BLUE)
        wait_for("it is refused", lambda: len(receiver.types("/signed")) > len(ids) or None)
        wait_for(
            "a redirect counts as no answer",
            lambda: (
                [e for e in _require_ledger(world).pending if e.webhook == "signed" and e.attempts] or None
            ),
        )
    assert "secret" not in json.dumps(_require_ledger(world).model_dump(mode="json"))


def _require_ledger(world: World) -> NotificationLedger:
    found = ledger(world)
    assert found is not None
    return found
