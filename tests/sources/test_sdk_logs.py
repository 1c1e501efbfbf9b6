"""What the vendor's own SDK writes is loaded as it is: the real package, its file consumer, its file names."""

from datetime import datetime

import pytest
from tgasdk.sdk import TD_ROTATE_MODE, TDAnalytics, TDLogConsumer

from mcp_server.sources.loading import Sources
from tests.sources.loads import Loaded, load


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 29, hour, minute)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A day of a shop, written by the SDK into hourly files, and loaded from the folder."""
    folder = tmp_path_factory.mktemp("sdk")
    sdk = TDAnalytics(TDLogConsumer(str(folder / "logs"), rotate_mode=TD_ROTATE_MODE.HOURLY), enable_uuid=True)
    sdk.set_super_properties({"channel": "store"})
    sdk.track(distinct_id="dev-1", event_name="app_open", properties={"#time": at(10), "size": {"w": 1170, "h": 2532}})
    for _ in range(2):
        sdk.track_first("dev-1", None, "first_open", "dev-1", {"#time": at(10, 1)})
    sdk.track("dev-1", "anna", "login", {"#time": at(10, 2)})
    sdk.track(
        "dev-1", "anna", "pay", {"#time": at(11), "amount": 6, "cart": [{"sku": "gem", "n": 1}, {"sku": "key", "n": 2}]}
    )
    sdk.track_update(None, "anna", "delivery", "o-1", {"#time": at(11, 5), "state": "sent", "fee": 5})
    sdk.track_update(None, "anna", "delivery", "o-1", {"#time": at(12), "state": "arrived"})
    sdk.track_overwrite(None, "anna", "delivery", "o-2", {"#time": at(12), "state": "lost"})
    sdk.user_set(None, "anna", {"#time": at(10, 3), "level": 2, "city": "上海"})
    sdk.user_setOnce(None, "anna", {"#time": at(10, 4), "city": "北京", "since": at(10)})
    sdk.user_add(None, "anna", {"#time": at(10, 5), "level": 3})
    sdk.user_append(None, "anna", {"#time": at(10, 6), "tags": ["a", "b"]})
    sdk.user_uniq_append(None, "anna", {"#time": at(10, 7), "tags": ["b", "c"]})
    sdk.user_set(None, "ben", {"#time": at(10, 3), "level": 1})
    sdk.user_unset(None, "ben", ["level"])
    sdk.user_set(None, "carl", {"#time": at(10, 3), "level": 1})
    sdk.user_del(None, "carl")
    sdk.close()
    assert all(file.name.startswith("log.") for file in (folder / "logs").iterdir())
    return load(folder, Sources(files=[str(folder / "logs")]))


def test_events_of_the_sdk(logged: Loaded) -> None:
    counts = logged.rows('SELECT "#event_name", count(*) FROM events GROUP BY 1 ORDER BY 1')
    assert counts == [("app_open", 1), ("delivery", 2), ("first_open", 1), ("login", 1), ("pay", 1)]
    assert logged.rows('SELECT DISTINCT "#user_id" FROM events') == [(1,)]
    assert set(logged.values("channel")) == {"store"}


def test_objects_and_groups_of_the_sdk(logged: Loaded) -> None:
    assert logged.rows('SELECT "size.w", "size.h" FROM events WHERE "#event_name" = \'app_open\'') == [(1170, 2532)]
    assert logged.rows('SELECT "cart.sku", "cart.n" FROM events WHERE "#event_name" = \'pay\'') == [
        (["gem", "key"], ["1", "2"])
    ]


def test_updates_of_the_sdk(logged: Loaded) -> None:
    found = logged.rows('SELECT "#event_id", state, fee FROM events WHERE "#event_name" = \'delivery\' ORDER BY 1')
    assert found == [("o-1", "arrived", 5), ("o-2", "lost", None)]


def test_users_of_the_sdk(logged: Loaded) -> None:
    found = logged.rows('SELECT "#account_id", level, city, tags FROM users ORDER BY "#account_id"')
    assert found == [("anna", 5, "上海", ["a", "b", "c"]), ("ben", None, None, None)]
