"""The bundled data is what its source says it is."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_server.sources.loading import LoadOptions, Sources
from tests.sources.loads import Loaded, load
from tools.build_cdnow import CUSTOMERS, PURCHASES, TOTAL, read

DATA = Path(__file__).parents[2] / "mcp_server" / "demo"


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    sources = Sources(str(DATA / "events.parquet"), str(DATA / "users.parquet"), metadata=DATA / "metadata.json")
    return load(tmp_path_factory.mktemp("cdnow"), sources, LoadOptions("1", as_of=date(1998, 7, 1)))


def test_the_totals_are_the_published_ones(cdnow: Loaded) -> None:
    published = (69_659, 23_570, Decimal("2500315.63"))
    assert published == (PURCHASES, CUSTOMERS, TOTAL)
    assert cdnow.rows('SELECT count(*), count(DISTINCT "#user_id"), sum(amount) FROM events') == [
        (PURCHASES, CUSTOMERS, TOTAL)
    ]
    assert cdnow.rows("SELECT count(*), sum(purchases), sum(total_amount) FROM users") == [
        (CUSTOMERS, PURCHASES, TOTAL)
    ]


def test_users_say_what_their_purchases_say(cdnow: Loaded) -> None:
    differing = cdnow.rows(
        'SELECT count(*) FROM users u FULL JOIN (SELECT "#user_id", min("#event_time") AS first, max("#event_time") AS last, count(*) AS n, '
        'sum(quantity) AS cds, sum(amount) AS dollars FROM events GROUP BY "#user_id") e USING ("#user_id") '
        "WHERE (first_purchase, last_purchase, purchases, total_quantity, total_amount) IS DISTINCT FROM (first, last, n, cds, dollars)"
    )
    assert differing == [(0,)]


def test_customer_numbers_keep_their_zeros(cdnow: Loaded) -> None:
    assert cdnow.rows('SELECT "#user_id", "#account_id" FROM users LIMIT 1') == [(1, "00001")]
    assert cdnow.rows(
        'SELECT count(*) FROM users WHERE "#account_id" <> lpad(CAST("#user_id" AS VARCHAR), 5, \'0\')'
    ) == [(0,)]


def test_every_property_has_names_in_both_languages(cdnow: Loaded) -> None:
    metadata = cdnow.built.metadata
    assert [(e.name, e.names.zh, e.first, e.last) for e in metadata.events] == [
        ("purchase", "购买", "1997-01-01 00:00:00", "1998-06-30 00:00:00")
    ]
    assert [p.name for p in metadata.properties if not (p.names.en and p.names.zh)] == []
    assert cdnow.built.report.unknown_names == ()


def test_nothing_was_odd_about_it(cdnow: Loaded) -> None:
    report = cdnow.built.report
    assert (report.skipped, report.unknown_user_rows, report.mixed, report.clamped_times) == ((), 0, (), 0)


def test_the_script_reads_the_published_table(tmp_path: Path) -> None:
    table = tmp_path / "CDNOW_master.txt"
    table.write_text(
        " customer_id  date number_of_cds  dollar_value\r\n 00002 19970112  5   77.00\r\n", encoding="ascii"
    )
    assert [tuple(purchase) for purchase in read(table)] == [("00002", date(1997, 1, 12), 5, Decimal("77.00"))]
