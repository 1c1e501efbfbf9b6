"""Write the binary exports from their sources: `python -m tests.exports.make` (openpyxl, xlwt, odfpy, and for the logs the
vendors' own SDKs, ThinkingDataSdk and SensorsAnalyticsSDK). Nothing else needs these packages; the results are committed.

A source is `sources/<export>/<file>/…`: one CSV for each sheet, or the lines of a gzipped file, or the rows of a Parquet file.
"""

import csv
import gzip
import os
import random
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = HERE / "sources"

# What the cells of a column are; other columns hold texts.
KINDS: dict[str, dict[str, str]] = {
    "youzan-orders": {},
    "wjx-survey": {"序号": "number", "3、您对我们的服务打几分": "number"},
    "pospal-members": {
        "折扣": "percent",
        "余额": "money",
        "积分": "number",
        "手机号": "number",
        "生日": "date",
        "开卡日期": "date",
        "最近消费时间": "time",
        "累计消费": "money",
    },
    "hubspot-contacts": {
        "Record ID": "number",
        "Last Activity Date": "time",
        "Create Date": "time",
        "Number of Form Submissions": "number",
        "Total Revenue": "number",
        "Email opt-out": "bool",
    },
    "excel-workbook": {
        "手机": "number",
        "生日": "chinese date",
        "入会日期": "date",
        "折扣": "percent",
        "余额": "money",
        "会员卡有效": "bool",
        "介绍人": "text or error",
        "日期": "time",
        "数量": "number",
        "金额": "money",
    },
    "libreoffice-ods": {
        "Datum": "date",
        "Uhrzeit": "time of day",
        "Bezahlt": "bool",
        "Preis": "money",
        "Bewertung": "number",
    },
}
HEADERS = {("excel-workbook", "会员"): 3, ("excel-workbook", "消费记录"): 2, ("excel-workbook", "说明"): 0}
FORMATS = {
    "percent": "0%",
    "money": '"¥"#,##0.00',
    "date": "yyyy/m/d",
    "chinese date": 'yyyy"年"m"月"d"日"',
    "time": "yyyy/m/d h:mm",
}


def rows(source: Path) -> list[list[str]]:
    with source.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


def typed(text: str, kind: str) -> Any:
    """A cell's text as the value that its column holds; a text that is of another kind (合计) stays one."""
    if text == "":
        return None
    try:
        return _TYPED.get(kind, str)(text)
    except (ValueError, ArithmeticError):
        return text


_TYPED: dict[str, Callable[[str], Any]] = {
    "number": lambda text: int(text) if text.isdigit() else float(text),
    "percent": float,
    "money": lambda text: float(Decimal(text)),
    "bool": lambda text: {"TRUE": True, "FALSE": False}[text],
    "date": date.fromisoformat,
    "chinese date": date.fromisoformat,
    "time": datetime.fromisoformat,
}


def cells(source: Path) -> Iterator[tuple[int, int, Any, str]]:
    """Row, column (both from 0), value and kind of every filled cell of a sheet."""
    export = source.parent.parent.name
    table = rows(source)
    header = HEADERS.get((export, source.stem), 1)
    names = table[header - 1] if header else []
    for row, texts in enumerate(table):
        for column, text in enumerate(texts):
            kind = KINDS[export].get(names[column], "text") if row >= header and names else "text"
            value = typed(text, kind)
            if value is not None:
                yield row, column, value, kind


def sheets(folder: Path) -> list[Path]:
    """The sheets of a workbook, in the order in which people would have them: notes first."""
    return sorted(folder.glob("*.csv"), key=lambda file: (file.stem != "说明", file.stem != "会员", file.stem))


def xlsx(folder: Path, target: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for source in sheets(folder):
        sheet = book.create_sheet(source.stem)
        for row, column, value, kind in cells(source):
            cell = sheet.cell(row + 1, column + 1, value)
            if kind in FORMATS:
                cell.number_format = FORMATS[kind]
            if value == "#N/A":
                cell.data_type = "e"
        for title in {"会员": "A1:J1", "消费记录": "A1:F1"}.items():
            if folder.parent.name == "excel-workbook" and source.stem == title[0]:
                sheet.merge_cells(title[1])
    if folder.parent.name == "excel-workbook":
        hidden = book.create_sheet("备份")
        hidden.sheet_state = "hidden"
        hidden.append(["会员编号", "姓名"])
        hidden.append(["VIP001", "旧数据"])
    book.properties.created = book.properties.modified = datetime(2026, 11, 30, 10)
    book.save(target)


def xls(folder: Path, target: Path) -> None:
    import xlwt

    book = xlwt.Workbook(encoding="utf-8")
    styles = {kind: xlwt.easyxf(num_format_str=form) for kind, form in FORMATS.items()}
    for source in sheets(folder):
        sheet = book.add_sheet(source.stem)
        for row, column, value, kind in cells(source):
            sheet.write(row, column, value, styles.get(kind, xlwt.Style.default_style))
    book.add_sheet("Sheet2")
    book.add_sheet("Sheet3")
    book.save(str(target))


def ods(folder: Path, target: Path) -> None:
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    document = OpenDocumentSpreadsheet()
    for source in sheets(folder):
        sheet = Table(name=source.stem)
        filled = {(row, column): (value, kind) for row, column, value, kind in cells(source)}
        for row in range(len(rows(source))):
            line = TableRow()
            for column in range(len(rows(source)[0])):
                value, kind = filled.get((row, column), (None, ""))
                line.addElement(_ods_cell(TableCell, P, value, kind))
            sheet.addElement(line)
        document.spreadsheet.addElement(sheet)
    document.save(str(target))


def _ods_cell(cell: Any, paragraph: Any, value: Any, kind: str) -> Any:
    if value is None:
        return cell()
    if isinstance(value, bool):
        made, shown = cell(valuetype="boolean", booleanvalue=str(value).lower()), "WAHR" if value else "FALSCH"
    elif isinstance(value, date):
        made, shown = cell(valuetype="date", datevalue=value.isoformat()), f"{value:%d.%m.%y}"
    elif kind == "time of day" and value[0].isdigit():
        hour, minute, second = value.split(":")
        made, shown = cell(valuetype="time", timevalue=f"PT{hour}H{minute}M{second}S"), value
    elif kind == "money" and isinstance(value, float):
        made = cell(valuetype="currency", currency="EUR", value=str(value))
        shown = f"{value:.2f} €".replace(".", ",")
    elif isinstance(value, int | float):
        made, shown = cell(valuetype="float", value=str(value)), str(value)
    else:
        made, shown = cell(valuetype="string"), str(value)
    made.addElement(paragraph(text=shown))
    return made


def gz(folder: Path, target: Path) -> None:
    (source,) = folder.iterdir()
    with target.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(source.read_bytes())


def parquet(export: Path) -> None:
    import duckdb

    types = {
        "event_id": "UUID",
        "user_id": "BIGINT",
        "event": "VARCHAR",
        "ts": "TIMESTAMP",
        "amount": "DECIMAL(12, 2)",
        "tags": "INTEGER[]",
        "device": "STRUCT(model VARCHAR, os STRUCT(name VARCHAR, v INTEGER))",
        "channel": "ENUM('ios', 'android')",
        "open_at": "TIME",
    }
    root = SOURCES / export.name
    for source in sorted(root.rglob("*.csv")):
        target = export / source.relative_to(root).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        names = rows(source)[0]
        parts = []
        for name in names:
            if name == "raw":
                parts.append("unhex(raw) AS raw")
            elif name in ("tags", "device"):
                parts.append(f"CAST(CAST({name} AS JSON) AS {types[name]}) AS {name}")
            else:
                parts.append(f"CAST(NULLIF({name}, '') AS {types[name]}) AS {name}")
        duckdb.connect().execute(
            f"COPY (SELECT {', '.join(parts)} FROM read_csv('{source}', all_varchar = true, header = true)) "
            f"TO '{target}' (FORMAT parquet, COMPRESSION snappy)"
        )
    (export / "events" / "_SUCCESS").touch()


# The logs, by the vendors' SDKs. They name their files by the clock; here each gets the name of its hour.


PLAYERS = [f"player_{number:03d}" for number in range(8)]
DEVICES = [f"dev-{number:02d}-5f1c" for number in range(10)]
Clock = Callable[[int], datetime]


def thinkingdata(export: Path) -> None:
    from tgasdk import sdk

    chance = random.Random(5)
    sdk.uuid.uuid4 = lambda: uuid.UUID(int=chance.getrandbits(128), version=4)  # the same file every time

    def at(hour: int) -> datetime:
        return datetime(2026, 11, 29, hour, chance.randrange(60), chance.randrange(60), chance.randrange(1000) * 1000)

    for name, work in {"10": _visits, "11_2": _payments, "11_10": _changes}.items():
        with tempfile.TemporaryDirectory() as folder:
            consumer = sdk.TDLogConsumer(folder, rotate_mode=sdk.TD_ROTATE_MODE.HOURLY)
            tracker = sdk.TDAnalytics(consumer, enable_uuid=True)
            tracker.set_super_properties({"server": "cn-1", "app_version": "2.4.10"})
            work(tracker, at)
            tracker.close()
            lines = b"".join(file.read_bytes() for file in sorted(Path(folder).iterdir()))
        (export / f"log.2026-11-29-{name}").write_bytes(lines)
    # LogBus sends a file again after it was renamed: ten lines come twice, with their #uuid.
    first = (export / "log.2026-11-29-10").read_bytes().splitlines(keepends=True)
    (export / "log.2026-11-29-12").write_bytes(b"".join(first[:10]))


def _visits(tracker: Any, at: Clock) -> None:
    for device in DEVICES:
        tracker.track(device, None, "app_open", {"#time": at(10), "net": "wifi", "size": {"w": 1170, "h": 2532}})
        once = {"#time": at(10), "channel": "store"}
        tracker.track_first(device, None, "first_open", device, once)
        tracker.track_first(device, None, "first_open", device, once)
    for number, player in enumerate(PLAYERS):
        tracker.user_set(None, player, {"#time": at(10), "vip": number % 3 == 0, "level": number + 1, "tags": ["new"]})
        tracker.user_setOnce(None, player, {"#time": at(10), "registered": datetime(2026, 9, 1 + number, 8)})
        tracker.track(DEVICES[number], player, "login", {"#time": at(10), "level": number + 1})


def _payments(tracker: Any, at: Clock) -> None:
    for number, player in enumerate(PLAYERS):
        for turn in range(1 + number % 3):
            price = [6, 30, 68.5][turn]
            goods = [{"sku": f"gem_{price}", "n": 1}, {"sku": "bonus", "n": turn}]
            paid = {"#time": at(11), "amount": price, "cart": goods, "coupon": None}
            tracker.track(DEVICES[number], player, "pay", paid)
        tracker.track_update(None, player, "delivery", f"o-{number}", {"#time": at(11), "state": "sent", "fee": 5})
        tracker.track_update(None, player, "delivery", f"o-{number}", {"#time": at(12), "state": "arrived"})
    tracker.track_overwrite(None, PLAYERS[0], "delivery", "o-0", {"#time": at(13), "state": "returned"})


def _changes(tracker: Any, at: Clock) -> None:
    for number, player in enumerate(PLAYERS):
        tracker.user_add(None, player, {"#time": at(14), "level": 10})
        tracker.user_append(None, player, {"#time": at(14), "tags": ["active"] if number % 2 else ["payer"]})
    tracker.user_unset(None, PLAYERS[7], {"#time": at(15), "vip": 0})


def sensors(export: Path) -> None:
    from sensorsanalytics import ConcurrentLoggingConsumer, SensorsAnalytics

    os.environ["TZ"] = "Asia/Shanghai"  # the SDK writes instants of the machine's clock
    time.tzset()
    chance = random.Random(7)
    clock = iter(range(1_796_004_000_000, 1_796_005_000_000, 900))
    SensorsAnalytics._now = staticmethod(lambda: next(clock))  # the same file every time
    with tempfile.TemporaryDirectory() as folder:
        tracker = SensorsAnalytics(ConcurrentLoggingConsumer(f"{folder}/access.log"))
        tracker.register_super_properties({"platform": "wxapp"})
        for number in range(12):
            person = f"oQ7wx{number:02d}UserOpenId"
            city = ["上海", "深圳", "成都"][number % 3]
            tracker.profile_set(person, {"$city": city, "level": number % 4, "phone": f"138001390{number:02d}"}, True)
            for turn in range(2 + number % 3):
                moment = datetime(2026, 11, 1 + number + turn, 9 + turn, chance.randrange(60))
                tracker.track(person, "ViewProduct", {"$time": moment, "sku": f"S{turn}", "price": 19.9 + turn}, True)
                if turn:
                    tracker.track(person, "PayOrder", {"$time": moment, "amount": 50 * turn, "items": ["a", "b"]}, True)
            if number % 4 == 0:
                tracker.profile_set(person, {"level": 9}, True)
        tracker.close()
        lines = b"".join(file.read_bytes() for file in sorted(Path(folder).iterdir()))
    lines = re.sub(
        rb"sensors##sensors##[^\"]*", b"Shop##pay##/srv/shop/app.py##42", lines
    )  # no path of the machine that made it
    (export / "access.log.2026-11-29").write_bytes(lines)


def main() -> None:
    writers = {".xlsx": xlsx, ".xls": xls, ".ods": ods, ".gz": gz}
    for export in sorted(SOURCES.iterdir()):
        if export.name == "hive-parquet":
            continue
        for folder in sorted(export.iterdir()):
            writers[folder.suffix](folder, HERE / export.name / folder.name)
    parquet(HERE / "hive-parquet")
    thinkingdata(HERE / "thinkingdata-log")
    sensors(HERE / "sensors-log")


if __name__ == "__main__":
    main()
