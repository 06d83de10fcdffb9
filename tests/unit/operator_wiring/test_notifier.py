"""Notices on their way to a real receiver: away at first, over a restart of the operator, and with its signature."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from alcove_api.competition import CompetitionSpec, CompetitionStatus
from alcove_api.notifications import NotificationLedger
from alcove_operator.core.model import CompetitionView
from alcove_operator.core.notices import RETRIES, StoreState, StoreTrouble
from alcove_operator.index import Index
from alcove_operator.notifier import Notifier
from alcove_operator.store import OperatorStore
from alcove_operator.webhooks import Exchange, Sender
from alcove_store.errors import StoreError, StoreFullError, StoreUnavailableError
from tests.unit.operator_core.cluster import START
from tests.unit.operator_core.test_boards import OLD, view
from tests.webhook_receiver import Receiver, hanging, receiving

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()


class Ledgers:
    """The store, as far as notifications need it."""

    stored: NotificationLedger | None = None
    error: StoreError | None = None

    def notification_ledger(self, _namespace: str, _competition: str) -> NotificationLedger | None:
        if self.error:
            raise self.error
        return self.stored

    def write_notification_ledger(
        self, _namespace: str, _competition: str, ledger: NotificationLedger
    ) -> None:
        if self.error:
            raise self.error
        self.stored = NotificationLedger.model_validate_json(ledger.canonical())


@dataclass
class Office:
    """One competition whose webhooks are to be told; the operator can be started anew on the same store."""

    folder: Path
    now: datetime = START
    seconds: float = 60.0
    """That a send may take."""
    trouble: StoreTrouble | None = None
    store: Ledgers = field(default_factory=Ledgers)
    index: Index = field(default_factory=Index)

    def competition(self, *webhooks: dict[str, Any]) -> CompetitionView:
        phase = {"name": "practice", "datasets": ["ds"], "budget": {"seconds": 20}}
        spec = CompetitionSpec.model_validate({"phases": [phase], "notifications": webhooks})
        return CompetitionView("comp", "cup", "uid", spec, CompetitionStatus())

    def operator(self, *hosts: str) -> Notifier:
        sender = Sender(self.folder, frozenset(hosts), self.seconds)
        return Notifier(
            self.index, cast(OperatorStore, self.store), sender, lambda: self.trouble, lambda: self.now
        )

    def store_is(self, state: StoreState) -> None:
        errors = {"away": StoreUnavailableError("It did not answer."), "full": StoreFullError("It is full.")}
        self.store.error = errors.get(state)
        self.trouble = None if state == "sound" else StoreTrouble(state, self.now)

    def end(self, team: str) -> None:
        self.index.submissions[team, "first"] = view(team, OLD)

    def waiting(self) -> list[tuple[str, int]]:
        assert self.store.stored is not None
        return [(entry.webhook, entry.attempts) for entry in self.store.stored.pending]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def address(office: Office, name: str, url: str, secret: str = "") -> dict[str, Any]:
    (office.folder / f"{name}.url").write_text(url + "\n")
    if secret:
        (office.folder / f"{name}.secret").write_text(secret)
    return {"name": name, "events": ["submission.ended", "store.trouble"]}


async def look(operator: Notifier, cup: CompetitionView) -> None:
    """One round to its end: all that it sends is sent, and what became of it is in the store."""
    await operator.look(cup)
    await asyncio.gather(*operator.sends.values())
    await operator.take_in(cup)


def test_a_receiver_that_is_away_at_first_gets_it_later_signed_and_once(office: Office) -> None:
    with receiving() as gone:
        port = gone.port
    cup = office.competition(address(office, "office", f"http://127.0.0.1:{port}/office", SECRET))
    operator = office.operator("127.0.0.1")
    asyncio.run(look(operator, cup))
    office.end("red")
    asyncio.run(look(operator, cup))
    assert office.waiting() == [("office", 1)]
    with receiving(port) as receiver:
        asyncio.run(look(operator, cup))
        assert receiver.got == [], "it is not tried again before its time"
        office.now += timedelta(seconds=RETRIES[0])
        # The operator was killed meanwhile.
        asyncio.run(look(office.operator("127.0.0.1"), cup))
        asyncio.run(look(office.operator("127.0.0.1"), cup))
        ((path, headers, body),) = receiver.got
    assert (path, office.waiting()) == ("/office", [])
    # The clock of the test is not that of the check.
    headers |= {"webhook-timestamp": str(int(datetime.now(START.tzinfo).timestamp()))}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)
    signed = Webhook(SECRET).sign(headers["webhook-id"], START + timedelta(seconds=RETRIES[0]), body.decode())
    assert headers["webhook-signature"] == signed
    told = json.loads(body)
    assert (told["type"], told["data"]["team"]) == ("submission.ended", "red")
    assert SECRET not in json.dumps(office.store.stored and office.store.stored.model_dump(mode="json"))


def test_the_text_form_is_a_sentence_without_markup(office: Office) -> None:
    with receiving() as receiver:
        hook = {**address(office, "chat", f"http://127.0.0.1:{receiver.port}/chat"), "format": "slack"}
        cup, operator = office.competition(hook), office.operator("127.0.0.1")
        asyncio.run(look(operator, cup))
        office.index.submissions["red", "<!channel>"] = view("red", OLD).__class__(
            **{**view("red", OLD).__dict__, "name": "<!channel>"}
        )
        asyncio.run(look(operator, cup))
        ((_, headers, body),) = receiver.got
    assert json.loads(body) == {"text": "red/&lt;!channel&gt; in practice: Done."}
    assert "webhook-signature" not in headers


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("http://localhost:{port}/x", ["127.0.0.1"]),
        ("http://127.0.0.1:{port}/x", []),
        ("http://127.0.0.1@localhost:{port}/x", ["127.0.0.1"]),
        ("ftp://127.0.0.1:{port}/x", ["127.0.0.1"]),
        ("", ["127.0.0.1"]),
    ],
)
def test_nothing_is_sent_to_a_host_that_is_not_listed(office: Office, url: str, hosts: list[str]) -> None:
    with receiving() as receiver:
        cup = office.competition(address(office, "stray", url.format(port=receiver.port)))
        operator = office.operator(*hosts)
        asyncio.run(look(operator, cup))
        office.end("red")
        asyncio.run(look(operator, cup))
        assert receiver.got == []
    assert office.waiting() == [("stray", 1)]


@pytest.mark.parametrize("ending", ["url", "secret"])
def test_bytes_in_the_secret_that_are_no_text_end_nothing(office: Office, ending: str) -> None:
    cup = office.competition(address(office, "strange", "http://127.0.0.1:9/x"))
    (office.folder / f"strange.{ending}").write_bytes(b"\xff\xfe")
    operator = office.operator("127.0.0.1")
    asyncio.run(look(operator, cup))
    office.end("red")
    asyncio.run(look(operator, cup))
    asyncio.run(look(operator, cup))
    assert office.waiting() == [("strange", 1)]


def test_a_redirect_is_not_followed_and_a_notice_is_given_up_in_the_end(office: Office) -> None:
    with receiving() as receiver:
        receiver.status = 302
        cup = office.competition(address(office, "office", f"http://127.0.0.1:{receiver.port}/office"))
        operator = office.operator("127.0.0.1")
        asyncio.run(look(operator, cup))
        office.end("red")
        for _ in range(3 * len(RETRIES)):
            asyncio.run(look(operator, cup))
            office.now += timedelta(seconds=max(RETRIES))
        assert {path for path, *_ in receiver.got} == {"/office"}
        assert len(receiver.got) == len(RETRIES) + 1
        assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    assert office.waiting() == []


def test_one_that_fails_keeps_no_other_webhook_waiting(office: Office) -> None:
    with receiving() as good, receiving() as bad:
        bad.status = 500
        hooks = [
            address(office, name, f"http://127.0.0.1:{r.port}/{name}")
            for name, r in (("bad", bad), ("good", good))
        ]
        cup, operator = office.competition(*hooks), office.operator("127.0.0.1")
        asyncio.run(look(operator, cup))
        for team in ("red", "blue", "green"):
            office.end(team)
        for _ in range(3):
            asyncio.run(look(operator, cup))
        assert len(good.got) == 3
        assert len(bad.got) == 1, "the others wait with the one that failed, in their order"
    assert office.waiting() == [("bad", 1), ("bad", 0), ("bad", 0)]


def types(receiver: Receiver) -> list[str]:
    return [json.loads(body)["type"] for *_, body in receiver.got]


@pytest.mark.parametrize("state", ["away", "full"])
def test_trouble_of_the_store_is_told_while_it_lasts_and_tried_again(
    office: Office, state: StoreState
) -> None:
    with receiving() as gone:
        port = gone.port
    cup = office.competition(address(office, "office", f"http://127.0.0.1:{port}/office"))
    operator = office.operator("127.0.0.1")
    asyncio.run(look(operator, cup))
    office.store_is(state)
    asyncio.run(look(operator, cup))
    # What else happens meanwhile is told as well.
    office.end("red")
    with receiving(port) as receiver:
        office.now += timedelta(seconds=RETRIES[0])
        for _ in range(2):
            asyncio.run(look(operator, cup))
        assert types(receiver) == ["store.trouble", "submission.ended"]
        assert json.loads(receiver.got[0][2])["data"]["state"] == state
        assert office.store.stored is not None
        assert office.store.stored.pending == (), "nothing could be written"
        office.store_is("sound")
        asyncio.run(look(operator, cup))
        # The operator was killed: what it had told is in the store.
        asyncio.run(look(office.operator("127.0.0.1"), cup))
        assert len(receiver.got) == 2


def test_an_operator_that_starts_while_the_store_is_away_tells_it_and_loses_nothing(office: Office) -> None:
    with receiving() as gone:
        port = gone.port
    cup = office.competition(address(office, "office", f"http://127.0.0.1:{port}/office"))
    asyncio.run(look(office.operator("127.0.0.1"), cup))
    office.end("red")
    asyncio.run(look(office.operator("127.0.0.1"), cup))
    assert office.waiting() == [("office", 1)]
    operator = office.operator("127.0.0.1")
    office.store_is("away")
    for _ in range(2):
        asyncio.run(look(operator, cup))
    office.store_is("sound")
    asyncio.run(look(operator, cup))
    assert office.waiting() == [("office", 1), ("office", 1)]
    with receiving(port) as receiver:
        office.now += timedelta(seconds=RETRIES[0])
        asyncio.run(look(operator, cup))
        assert types(receiver) == ["submission.ended", "store.trouble"]
    assert office.waiting() == []


def test_a_store_that_comes_and_goes_is_told_once_an_hour(office: Office) -> None:
    with receiving() as receiver:
        cup = office.competition(address(office, "office", f"http://127.0.0.1:{receiver.port}/office"))
        operator = office.operator("127.0.0.1")
        asyncio.run(look(operator, cup))
        for _ in range(8):
            for state in ("away", "sound"):
                office.store_is(state)
                asyncio.run(look(operator, cup))
            office.now += timedelta(minutes=10)
        assert types(receiver) == ["store.trouble"] * 2


@pytest.mark.parametrize("drip", [b"", b"."], ids=["silent", "dripping"])
def test_a_receiver_that_never_ends_its_answer_is_given_up_and_its_thread_is_free_again(
    office: Office, drip: bytes
) -> None:
    """A timeout of a socket begins anew with each byte."""
    office.seconds = 0.3

    async def scenario(port: int) -> None:
        cup = office.competition(address(office, "slow", f"http://127.0.0.1:{port}/slow"))
        operator = office.operator("127.0.0.1")
        await look(operator, cup)
        office.end("red")
        async with asyncio.timeout(60):
            await look(operator, cup)
            assert office.waiting() == [("slow", 1)]
            while any(
                thread.name.startswith("webhook") and _sends(thread) for thread in threading.enumerate()
            ):
                await asyncio.sleep(0.01)

    with hanging(drip) as port:
        asyncio.run(scenario(port))


def _sends(thread: threading.Thread) -> bool:
    """Whether it is in an exchange with a receiver now."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code is Exchange.post.__code__:
            return True
        frame = frame.f_back
    return False


def test_many_that_hang_delay_themselves_alone(office: Office) -> None:
    """Not the other webhook, not another competition, and not what asks the store in the threads of all."""
    with hanging(b".") as port, receiving() as good:
        slow = [address(office, f"slow-{i}", f"http://127.0.0.1:{port}/{i}") for i in range(15)]
        cup = office.competition(*slow, address(office, "good", f"http://127.0.0.1:{good.port}/good"))
        operator = office.operator("127.0.0.1")

        async def scenario() -> None:
            await look(operator, cup)
            async with asyncio.timeout(30):
                for got, team in enumerate(("red", "blue", "green"), 1):
                    office.end(team)
                    await operator.look(cup)
                    while len(good.got) < got or not operator.sends["uid", "good"].done():
                        await asyncio.sleep(0.01)
                    await asyncio.to_thread(office.waiting)
                hung = [name for (_, name), send in operator.sends.items() if not send.done()]
                assert len(hung) == len(slow)

        asyncio.run(scenario())
        assert [team for team, _ in office.waiting()].count("good") <= 1


def test_an_error_of_our_own_is_a_failed_try_and_takes_nothing_else_along(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        hook = address(office, "office", f"http://127.0.0.1:{receiver.port}/office")
        cup, operator = office.competition(hook), office.operator("127.0.0.1")
        asyncio.run(look(operator, cup))
        for team in ("blue", "red"):
            office.end(team)
        send, sent = Sender.send, list[str]()

        async def send_one(sender: Sender, webhook: Any, notice: Any, now: datetime) -> None:
            if sent:
                raise RuntimeError("This is a fault of Alcove's own.")
            sent.append(notice.id)
            await send(sender, webhook, notice, now)

        monkeypatch.setattr(Sender, "send", send_one)
        asyncio.run(look(operator, cup))
        assert office.waiting() == [("office", 1)]
        monkeypatch.undo()
        office.now += timedelta(seconds=RETRIES[0])
        asyncio.run(look(operator, cup))
        assert office.waiting() == []
        assert len(receiver.got) == len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 2


def test_a_deleted_competition_is_forgotten(office: Office) -> None:
    with receiving() as receiver:
        hook = address(office, "office", f"http://127.0.0.1:{receiver.port}/office")
        cup, operator = office.competition(hook), office.operator("127.0.0.1")
        asyncio.run(look(operator, cup))
        office.end("red")
        asyncio.run(look(operator, cup))
        operator.forget({cup.uid})
        assert operator.ledgers, "it is there, so nothing is forgotten"
        operator.forget({"another"})
        assert not operator.sends
        assert not operator.ledgers
