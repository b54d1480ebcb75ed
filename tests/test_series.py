"""Series: what is read from files of every kind, and which windows come of it."""

import dataclasses
import pickle

import numpy as np
import pytest

from kerasdl import data
from kerasdl.data import batches
from kerasdl.data.dataset import DataSpec
from kerasdl.data.series import cells, times
from kerasdl.data.series.source import Series
from kerasdl.data.series.table import Table
from kerasdl.data.series.windows import WindowSplit, starts_within
from kerasdl.errors import UsageError

SMALL = {"context": 4, "horizon": 2, "train_rows": 0.6, "validation_rows": 0.2, "test_rows": 0.2}


def hours(count, start="2024-01-01T00:00"):
    """Return consecutive hours as text."""
    return np.datetime_as_string(
        np.datetime64(start) + np.arange(count).astype("timedelta64[h]"), "m"
    ).tolist()


def write(path, header, rows, separator=",", encoding="utf-8"):
    """Write a file of rows of cells; return a source of it."""
    lines = [separator.join(map(str, row)) for row in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return Series(path=str(path), **SMALL)


def plain(count=40):
    """Return rows of hours and numbers."""
    return [[time, number + 0.5] for number, time in enumerate(hours(count))]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "some.csv"


def refused(source):
    """Return what is said of a source that cannot be loaded."""
    with pytest.raises(UsageError) as error:
        source.load()
    return str(error.value)


def test_parts_follow_each_other_and_reach_back_for_their_past(file):
    dataset = write(file, ["time", "a"], plain()).load()
    features, targets = dataset.train.features, dataset.train.targets
    assert (features.shape, targets.shape) == ((19, 4, 1), (19, 2, 1))  # 24 - 4 - 2 + 1
    assert targets[-1, -1, 0] == 23.5
    for split, first, last in ((dataset.validation, 24, 32), (dataset.test, 32, 40)):
        assert (split.targets[0, 0, 0], split.targets[-1, -1, 0]) == (first + 0.5, last - 0.5)
        assert split.features[0, :, 0].tolist() == [first - 3.5, first - 2.5, first - 1.5, first - 0.5]
        assert len(split) == last - first - 1
    spec = dataset.spec.targets
    assert (spec.columns, spec.step) == (("a",), "1 hour")
    assert spec.mean == pytest.approx((12.0,)) and spec.std == pytest.approx((np.arange(24).std(),))
    assert not dataset.notes
    again = DataSpec.from_description(dataset.describe())
    assert again == dataset.spec and again.targets.std == spec.std


@pytest.mark.slow
def test_batches_are_gathered_from_one_array(file):
    rows = [[time, n, -n] for n, time in enumerate(hours(60))]
    source = dataclasses.replace(write(file, ["time", "x", "y"], rows), target=("y",), features=("x",))
    split = source.load().train
    assert np.shares_memory(split.features, split.values) and np.shares_memory(split.targets, split.values)
    features, targets = split.features, split.targets
    assert features[3, :, 0].tolist() == [-3, -4, -5, -6] and features[3, :, 1].tolist() == [3, 4, 5, 6]
    seen = list(batches.evaluation_batches(split, batch_size=7).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in seen]), features)
    np.testing.assert_array_equal(np.concatenate([batch[1] for batch in seen]), targets)
    steps = len(split) // 8
    (block,) = batches.training_blocks(split, batch_size=8, seed=3).take(1).as_numpy_iterator()
    single = next(batches.training_batches(split, batch_size=8, seed=3, start_step=2).as_numpy_iterator())
    np.testing.assert_array_equal(block[0][2], single[0])
    epoch = block[0][:steps].reshape(-1, 4, 2)
    assert len(np.unique(epoch[:, 0, 1])) == len(epoch)  # each window once
    np.testing.assert_array_equal(block[1][:steps].reshape(-1, 2)[:, 0], epoch[:, -1, 0] - 1)
    chosen = split.select(np.array([1, 4]))
    np.testing.assert_array_equal(chosen.features, features[[1, 4]])
    copy = pickle.loads(pickle.dumps(split))
    np.testing.assert_array_equal(copy.targets, targets)
    assert len(pickle.dumps(split)) < 4 * split.values.nbytes


def test_windows_over_gaps_and_missing_values_are_left_out(file):
    rows = plain(60)
    rows[10][1] = ""
    del rows[20]
    dataset = write(file, ["time", "a"], rows).load()
    assert "1 gaps" in dataset.notes[0] and "the longest takes 2 hours" in dataset.notes[0]
    assert "1 of 59 values in column a are missing" in dataset.notes[1]
    assert "windows are left out" in dataset.notes[2]
    windows = np.concatenate([dataset.train.features, dataset.train.targets], axis=1)[..., 0]
    assert (np.diff(windows) == 1).all() and 10.5 not in windows
    # Rows 0-9, 11-19 and 20-34 are whole; each gives its length - 5 windows.
    assert len(dataset.train) == 5 + 4 + 10
    ignoring = dataclasses.replace(write(file, ["time", "a"], rows), gaps="ignore").load()
    assert len(ignoring.train) == 5 + 19


def test_starts_within():
    whole = np.array([1, 1, 1, 0, 1, 1, 1, 1, 1, 1], bool)
    joined = np.ones(10, bool)
    assert starts_within(whole, joined, 0, 10, 2, 1, reach=False).tolist() == [0, 4, 5, 6, 7]
    assert starts_within(whole, joined, 8, 10, 2, 1, reach=True).tolist() == [6, 7]
    assert starts_within(whole, joined, 8, 10, 2, 1, reach=False).tolist() == []
    joined[6] = False  # a gap between rows 5 and 6
    assert starts_within(whole, joined, 0, 10, 2, 1, reach=False).tolist() == [0, 6, 7]


@pytest.mark.parametrize(
    ("separator", "encoding", "form"),
    [
        (";", "utf-8-sig", "{:.1f}"),
        ("\t", "utf-16", "{:.1f}"),
        ("|", "cp1252", "{:.1f}"),
        (";", "utf-8", "comma"),
    ],
)
def test_separators_encodings_and_decimal_commas(file, separator, encoding, form):
    write_number = (lambda value: f"{value:.1f}".replace(".", ",")) if form == "comma" else form.format
    rows = [[time, write_number(value), "ruhig"] for time, value in plain()]
    source = write(file, ["Zeit", "Geb\u00e4ude", "Notiz"], rows, separator, encoding)
    dataset = source.load()
    assert dataset.spec.targets.columns == ("Geb\u00e4ude",)  # the last column of numbers
    assert dataset.test.targets[-1, -1, 0] == 39.5


def test_excel_says_its_separator_and_rows_may_end_in_one(file):
    text = "sep=;\r\ntime;a;\r\n" + "".join(f"{time};{value};\r\n" for time, value in plain())
    file.write_bytes(text.encode())
    dataset = Series(path=str(file), **SMALL).load()
    assert dataset.spec.targets.columns == ("a",) and dataset.test.targets[-1, -1, 0] == 39.5


def test_comments_above_the_header_are_left_out(file):
    body = "".join(f"{time},{value}\n" for time, value in plain())
    for header in ("time,a", "#time,a"):
        file.write_text(f"# station 7, in the north, high\n# unit: MW\n{header}\n{body}")
        dataset = Series(path=str(file), **SMALL).load()
        assert dataset.spec.targets.columns == ("a",) and dataset.test.targets[-1, -1, 0] == 39.5
    file.write_text(f"# unit: MW\ntime,a\n{body}x,1\n")
    assert "line 43: 'x' in column time" in refused(Series(path=str(file), **SMALL))


def test_unsorted_and_repeated_rows_are_put_right(file):
    rows = plain()
    rows = [*rows[20:], *rows[:21]]
    dataset = write(file, ["time", "a"], rows).load()
    assert "were sorted" in dataset.notes[0] and "1 rows" in dataset.notes[1]
    assert dataset.train.values[:, 0].tolist() == [n + 0.5 for n in range(40)]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    stamps = np.datetime64("2024-01-01") + np.arange(40).astype("timedelta64[D]")
    numbers = pyarrow.array([None, *range(1, 40)], pyarrow.float32())
    table = pyarrow.table({"ds": pyarrow.array(stamps.astype("datetime64[us]")), "y": numbers})
    path = tmp_path / "some.parquet"
    parquet.write_table(table, path)
    dataset = Series(path=str(path), **SMALL).load()
    assert dataset.spec.targets.step == "1 day" and dataset.test.targets[-1, -1, 0] == 39
    numbered = table.rename_columns(["time", "y"]).append_column(
        "__index_level_0__", numbers
    )  # rows were left out
    parquet.write_table(numbered, path)
    assert Series(path=str(path), **SMALL).load().spec.targets.step == "1 day"
    rows = pyarrow.array([*range(20), *range(30, 50)])
    parquet.write_table(table.append_column("__index_level_0__", rows), path)
    assert Series(path=str(path), features=("all",), **SMALL).load().spec.inputs.shape[-1] == 1
    parquet.write_table(table.select(["y"]).append_column("__index_level_0__", rows), path)
    assert "1 gap" in " ".join(Series(path=str(path), **SMALL).load().notes)
    path.write_bytes(path.read_bytes()[:200])
    assert "is damaged" in refused(Series(path=str(path), **SMALL))


def cell(row, column, value):
    """Return a change of one cell."""
    return lambda rows: rows[row].__setitem__(column, value(rows[row][column]) if callable(value) else value)


def column(number, value):
    """Return a change of a column: a value, or a function of the row."""

    def change(rows):
        for n, row in enumerate(rows):
            row[number] = value(n) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cell(7, 1, "broken"), "line 9: 'broken' in column a is not a number"),
        (cell(7, 1, "inf"), "line 9: 'inf' in column a is infinite"),
        (cell(7, 1, "-1e39"), "line 9: '-1e39' in column a is too large a number for 32 bits"),
        (cell(7, 0, "yesterday"), "line 9: 'yesterday' in column time is not a time"),
        (cell(7, 0, "2024-01-01T06:00"), "in line 8 and line 9. Keep one of them. Local times"),
        (cell(7, 0, lambda text: f"{text}+02:00"), "1 of 40 times in column time have a time zone"),
        (lambda rows: rows[7].append(3), "2 columns in its header, but 3 in line 9"),
        (column(1, 4), "column a is the same in all 24 rows"),
        (column(1, 0.1), "column a is the same in all 24 rows"),  # whose standard deviation is 1e-17
        (column(0, lambda n: 7.4 if n == 7 else n), "line 9: '7.4' in column time is not a whole number"),
        (column(1, ""), "no column of numbers"),
        (column(1, '"1,234"'), "may part thousands or decimals"),
        (column(1, lambda n: f"{990 + n}" if n < 10 else f"1.{n - 10:03}"), "'1.000' in column a may part"),
        (column(0, lambda n: f"2024-01-01T00:00:{n // 2:02}.{n % 2 * 5}00"), "differ by less than a second"),
        (lambda rows: rows.__delitem__(slice(8, None)), "takes 6 for one window"),
        (lambda rows: rows.clear(), "a header but no rows"),
        (column(0, lambda n: f"2024-01-{1 + n // 4:02}T{n % 24:02}:{n * n % 60:02}"), "are not regular"),
        (column(0, lambda n: f"0{1 + n % 9}/0{1 + n // 9}/2024"), "day or with the month first"),
        (column(0, lambda n: f"0{1 + n % 9}-0{1 + n // 9}-2024"), "--time-format %d-%m-%Y or"),
        (cell(0, 0, ""), "line 2: column time is empty. Fill it, or remove the row."),
    ],
)
def test_what_cannot_be_read_is_said(file, change, said):
    rows = plain()
    change(rows)
    assert said in refused(write(file, ["time", "a"], rows))


def test_columns_without_changes_are_told(file):
    rows = [[time, 0.1 if n < 24 else 0.2, 1.7e9 + n, value] for n, (time, value) in enumerate(plain())]
    source = write(file, ["time", "still", "large", "a"], rows)
    dataset = dataclasses.replace(source, target=("a",), features=("still", "large")).load()
    assert dataset.spec.inputs.std[1] == 0
    still, large = dataset.notes
    assert "Column still is the same in all 24 rows" in still
    assert "Column large changes by 6.9" in large and "its changes are lost" in large


def test_numbers_that_stand_for_missing_values_are_doubted(file):
    rows = [[time, -999 if n in (3, 9) else value, 99.9 + n % 2] for n, (time, value) in enumerate(plain())]
    dataset = dataclasses.replace(write(file, ["time", "a", "b"], rows), target=("a", "b")).load()
    assert [note for note in dataset.notes if "missing" in note] == [
        "Column a is -999 in 2 rows, far from all other values. Leave the cells empty if that says that a "
        "value is missing."
    ]


def test_dates_are_the_times_and_not_a_column_of_numbers(file):
    rows = [[n, time, value] for n, (time, value) in enumerate(plain())]
    dataset = dataclasses.replace(write(file, ["index", "when", "a"], rows), target=("a",)).load()
    assert dataset.spec.inputs.step == "1 hour"


def test_what_cannot_be_asked_for_is_said(file, tmp_path):
    source = write(file, ["time", "a", "b"], [[*row, 1] for row in plain()])
    for fields, said in (
        ({"target": ("aa",)}, "has no column 'aa'; it has time, a, b. Did you mean 'a'?"),
        ({"target": ("time",)}, "is the column of times"),
        ({"target": ("a", "a")}, "named twice"),
        ({"time_column": "when"}, "has no column 'when'"),
        ({"target": ("a",), "train_rows": 30}, None),
        ({"target": ("a",), "train_rows": 80}, "has 40 rows, but training, validation and test take"),
        ({"target": ("a",), "step": "1 day"}, "has a row every 1 hour, but every 1 day is expected"),
        ({"path": str(tmp_path / "sime.csv")}, "Did you mean 'some.csv'?"),
        ({"path": str(tmp_path)}, "is a folder"),
    ):
        if said:
            assert said in refused(dataclasses.replace(source, **fields)), fields
    for fields in ({"context": 0}, {"test_rows": 1.5}, {"train_rows": 0.9}, {"validation_rows": -3}):
        with pytest.raises(UsageError):
            dataclasses.replace(source, **fields)
    file.write_bytes(b"time,a\n2024-01-01,\x00\n")
    assert "is not a text file" in refused(source)
    file.write_text("2024,1\n2025,2\n")
    assert "begins with numbers" in refused(source)
    file.write_text('time,a\n2024-01-01,"3\n')
    assert "cannot be read" in refused(source)
    file.write_text("name,a\nx,1\ny,2\n")
    assert "no column of times" in refused(source)


@pytest.mark.parametrize(
    ("cells", "step", "after"),
    [
        (["2024-01-30", "2024-01-31", "2024-02-01"], "1 day", "2024-02-02"),
        (["2023-11", "2023-12", "2024-01"], "1 month", "2024-02"),
        (["2023-11-30", "2023-12-31", "2024-01-31"], "1 month", "2024-02-29"),
        (["2023-09-01", "2023-12-01", "2024-03-01"], "3 months", "2024-06-01"),
        (["2024-01-01 22:00", "2024-01-01 22:15", "2024-01-01 22:30"], "15 minutes", "2024-01-01 22:45"),
        (["2024-01-01T00:00:00Z", "2024-01-01T00:00:30Z"], "30 seconds", "2024-01-01T00:01:00Z"),
        (["2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00"], "1 hour", "2024-10-27T03:00+01:00"),
        (["30.12.2024", "31.12.2024"], "1 day", "01.01.2025"),
        (["12/30/2024 00:00", "12/31/2024 00:00"], "1 day", "01/01/2025 00:00"),
        (["12/31/2024 11:00 PM", "01/01/2025 12:00 AM"], "1 hour", "01/01/2025 01:00 AM"),
        (["7", "8", "9"], "1 row", "10"),
        (["2024-01-01", "2024-01-08"], "1 week", "2024-01-15"),
        (["Apr 2024", "May 2024"], "1 month", "Jun 2024"),
        (["May 1, 2024", "June 1, 2024"], "1 month", "July 01, 2024"),
        (["30-Jan-24", "31-Jan-24"], "1 day", "01-Feb-24"),
        (["30-12-2024", "31-12-2024"], "1 day", "01-01-2025"),
        (["2024-01-01 00:00:00 UTC", "2024-01-01 00:15:00 UTC"], "15 minutes", "2024-01-01 00:30:00 UTC"),
        (["2024-Q3", "2024-Q4"], "3 months", "2025-Q1"),
        (["q3 2024", "q4 2024"], "3 months", "Q1 2025"),
        (["2024-W51", "2024-W52"], "1 week", "2025-W01"),
        (["11/2024", "12/2024"], "1 month", "01/2025"),
        (["2023-12-30", "2024-01-30"], "1 month", "2024-02-29"),
        (["2023-12-01T00:00+00:00", "2024-01-01T00:00+00:00"], "1 month", "2024-02-01T00:00+00:00"),
        (["2024-03-30T23:00-05:00", "2024-03-31T00:00-05:00"], "1 hour", "2024-03-31T01:00-05:00"),
        (["2024-1-30", "2024-1-31"], "1 day", "2024-02-01"),
        (["202311", "202312"], "1 month", "202401"),
        (["20240227.0", "20240228.0"], "1 day", "20240229"),
        (["2024123122", "2024123123"], "1 hour", "2025010100"),
        (["1704067200", "1704070800"], "1 hour", "1704074400"),
        (["1704067200000.0", "1704070800000.0"], "1 hour", "1704074400000"),
        (["1704067200000000", "1704070800000000"], "1 hour", "1704074400000000"),
        (["1704067200000000000", "1704067260000000000"], "1 minute", "1704067320000000000"),
        (["1704067200", "1706745600"], "1 month", "1709251200"),
        (["1704067200000", "1704067200250"], "250 milliseconds", "1704067200500"),
        (["1704067200500", "1704067201500"], "1 second", "1704067202500"),
        (["200098", "200099"], "1 row", "200100"),
    ],
)
def test_times_of_many_forms_go_on(cells, step, after):
    table = Table("some.csv", ("when", "a"), [cells, cells], list(range(2, 9)))
    found = times.read(table, "when", "auto")
    distance = times.step_of(found.places)
    assert times.in_words(distance, found.unit) == step
    assert found.after(int(found.places[-1]) + distance) == after


def test_numbers_since_1970_are_told_and_may_be_rows(file):
    rows = [[n, 1704067200 + 900 * n, value] for n, (_, value) in enumerate(plain())]
    source = write(file, ["index", "open_time", "a"], rows)  # the time is found behind a number of the row
    found = source.load()
    assert found.spec.inputs.step == "15 minutes"
    assert found.notes[1] == (
        "The numbers in column open_time are read as seconds since 1970, the first as 2024-01-01 00:00:00 in "
        "UTC (--time-format number: as numbers of rows)."
    )
    earlier = dataclasses.replace(source, step="900 rows").load()  # as a run of before was trained
    assert earlier.spec.inputs.step == "900 rows"
    rows[7][1] += 900  # twice the time of the next row
    source = write(file, ["index", "open_time", "a"], rows)
    assert "different values for one time: 1704074400 in line 9" in refused(source)
    given = dataclasses.replace(source, time_column="index", time_format="number").load()
    assert given.spec.inputs.step == "1 row" and not any("1970" in note for note in given.notes)


def test_words_of_the_command_line(file):
    assert data.from_text("demand") == Series() and data.from_text("x.Parquet") == Series(path="x.Parquet")
    assert data.from_text("x.CSV", Series()) == Series(path="x.CSV") != data.from_text("x.CSV")
    built_in = Series().load()
    assert (len(built_in.train), built_in.spec.targets.columns) == (5941, ("demand",))
    other = write(file, ["time", "a", "b"], [[*row, 2 * n] for n, row in enumerate(plain())])
    source = dataclasses.replace(other, target=("b",), features=("a",), context=7, horizon=1)
    moved = source.moved_to(data.from_text("x.csv", source))
    assert moved == dataclasses.replace(source, path="x.csv")
    spec = source.load().spec
    known = dataclasses.replace(other).like(spec)
    assert known == dataclasses.replace(source, step="1 hour")
    assert isinstance(known.load().train, WindowSplit)


def test_the_choice_of_columns_is_said(file):
    rows = [[time, value, "x", 2 * float(value)] for time, value in plain()]
    source = write(file, ["time", "a", "word", "b"], rows)
    chosen = source.load()
    assert chosen.spec.targets.columns == ("b",) and "forecast is b" in chosen.notes[0]
    every = dataclasses.replace(source, target=("all",)).load()
    assert every.spec.targets.columns == ("a", "b") and every.notes[0].endswith("no numbers: word.")
    grouped = [[time, value, f"{row}.234,50"] for row, (time, value) in enumerate(plain(), 1)]
    grouped[7][2] = "1,234.5"
    source = write(file, ["time", "a", "b"], grouped, separator=";")
    assert "both points and commas" in refused(dataclasses.replace(source, target=("all",)))


@pytest.mark.parametrize("written", ["1.234,5 999,25 -12 1.000", "1,234.5 999.25 -12 1,000"])
def test_a_number_with_both_signs_tells_that_of_thousands(written):
    found = cells.read(Table("some.csv", ("a",), [written.split()], [2, 3, 4, 5]), "a")
    assert found.tolist() == [1234.5, 999.25, -12, 1000]


def parts(time):
    date, hour = time[:10], int(time[11:13])
    return {
        "date": date, "dotted": ".".join(date.split("-")[::-1]), "compact": date.replace("-", ""),
        "hour": hour, "of_day": time[11:16], "with_dots": f"{hour:02}.00.00", "midnight": f"{date} 00:00:00",
        "minute": "0", "half": f"{(hour - 1) % 12 + 1}:00 {'PM' if hour > 11 else 'AM'}",
        "float": f"{hour}.0", "year": date[:4], "month": int(date[5:7]), "day": int(date[8:]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "kinds", "wanted", "first"),
    [
        ("Date Hour", "date hour", "auto", "2024-01-01 00:00"),
        ("hr dteday", "hour date", "auto", "2024-01-01 00:00"),  # bike sharing (UCI): not in order
        ("Date Time", "dotted with_dots", "auto", "01.01.2024 00:00:00"),  # air quality (UCI)
        ("date time", "midnight of_day", "auto", "2024-01-01 00:00"),
        (
            "date hour",
            "date float",
            "auto",
            "2024-01-01 00:00",
        ),  # as pandas writes numbers of a column with gaps
        ("date time", "date half", "auto", "2024-01-01 12:00 AM"),
        (
            "No year month day hour",
            "minute year month day hour",
            "auto",
            "2024-01-01 00:00",
        ),  # as PM2.5 (UCI)
        ("Year Month Day Hour Minute", "year month day hour minute", "auto", "2024-01-01 00:00"),
        ("d h", "compact hour", "d,h", "2024-01-01 00:00"),
        ("a b c d", "year month day of_day", "a, b,c,d", "2024-01-01 00:00"),
    ],
)
def test_columns_that_tell_a_time_together_are_joined(file, names, kinds, wanted, first):
    rows = [[*(parts(time)[kind] for kind in kinds.split()), value] for time, value in plain()]
    source = dataclasses.replace(write(file, [*names.split(), "x"], rows), time_column=wanted)
    found, expected = source.read(), write(file, ["time", "x"], plain()).read()
    np.testing.assert_array_equal(found.places, expected.places)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.columns == ("x",) and found.step == "1 hour" and found.times.written[0] == first
    assert sum("tell the times together" in note for note in found.notes) == (wanted == "auto")


def test_months_of_two_columns_are_months_and_are_written_so(file):
    rows = [[2021 + n // 12, n % 12 + 1, n * n % 7] for n in range(40)]
    found = write(file, ["year", "month", "sales"], rows)
    assert found.read().step == "1 month" and found.recent().next_times[0] == "2024-05"


def test_columns_that_cannot_be_joined_are_told(file):
    rows = [[time[:10], int(time[11:13]) + 1, value] for time, value in plain()]  # from 1 to 24
    source = write(file, ["Date", "Hour", "a"], rows)
    said = refused(source)
    assert (
        "2024-01-01 in line 2 and line 3. If Date and Hour tell it together, with hours from 0 to 23" in said
    )
    assert said.endswith("give --time-column Date,Hour.")
    source = dataclasses.replace(source, time_column="Date,Hour")
    assert "line 25: '24' in column Hour is no part of a time: 0 to 23." in refused(source)
    assert "has no column 'Huor'" in refused(dataclasses.replace(source, time_column="Date,Huor"))
    assert "names 7 columns" in refused(dataclasses.replace(source, time_column="a,a,a,a,a,a,a"))
    write(file, ["Date", "Hour", "a"], [[time[:10], "", value] for time, value in plain()])
    assert "line 2: '' in column Hour is no part of a time" in refused(source)


def test_parts_without_a_year_or_a_date_are_not_offered_to_be_joined(file):
    said = refused(write(file, ["month", "day", "a"], [[1 + n // 28, 1 + n % 28, n] for n in range(99)]))
    assert "different values for one time" in said and "--time-column" not in said


def test_a_day_for_each_row_beside_an_hour_stays_a_day(file):
    rows = [[f"2024-{1 + n // 28:02}-{1 + n % 28:02}", n % 5, n] for n in range(28)]
    assert write(file, ["date", "hour", "a"], rows).read().step == "1 day"
    assert write(file, ["date", "hour", "a"], [*rows, rows[3]]).read().step == "1 day"  # a row comes twice


@pytest.mark.parametrize("of", [lambda n: 1704067200 + 3600 * n, lambda n: 2024010100 + n, lambda n: 9 + n])
def test_numbers_that_tell_the_time_alone_are_not_joined_with_the_year_and_the_month(file, of):
    rows = [[of(n), 2024, 1, n * n % 7] for n in range(24)]
    assert write(file, ["time", "year", "month", "a"], rows).read().step in ("1 hour", "1 row")


@pytest.mark.parametrize(
    ("names", "of"),
    [
        ("date time", lambda n: [f"2024-01-{1 + (n + 15) // 24:02}", f"{(n + 15) % 24}:00"]),  # 15:00, 0:00
        ("date hour minute", lambda n: ["2024-01-01", f"{n // 4:.2f}", f"{15 * (n % 4):.2f}"]),
        ("date hour", lambda n: [f"01/{13 + n // 24}/2024 12:00:00 AM", n % 24]),
    ],
)
def test_times_of_day_are_joined_as_programs_write_them(file, names, of):
    found = write(file, [*names.split(), "a"], [[*of(n), n] for n in range(40)]).read()
    assert found.step == ("15 minutes" if "minute" in names else "1 hour") and found.joined.all()
    assert found.values[:, 0].tolist() == list(range(40))


@pytest.mark.parametrize("names", ["date hour min", "year month day hour"])
def test_numbers_beside_a_time_for_each_row_stay_data(file, names):
    def of(n):
        return ["2024-01-01", n] if "min" in names else [2024, 1, n + 1]

    found = write(file, [*names.split(), "a"], [[*of(n), n * 7 % 11, n] for n in range(24)])
    found = dataclasses.replace(found, features=("all",)).read()
    assert found.columns == ("a", names.split()[-1]) and found.step == (
        "1 hour" if "min" in names else "1 day"
    )


def test_a_column_that_is_joined_can_be_a_feature_too(file):
    rows = [[time[:10], value, int(time[11:13])] for time, value in plain()]
    source = write(file, ["date", "a", "hr"], rows)
    assert source.read().columns == ("a",)
    found = dataclasses.replace(source, features=("hr",)).read()
    assert found.columns == ("a", "hr") and found.values[:3, 1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "of", "wanted", "message"),
    [
        ("year quarter", lambda n: [2000 + n // 4, n % 4 + 1], "year,quarter", "quarter would be read"),
        ("year day", lambda n: [2000, n % 12 + 1], "year,day", "day would be read as the month"),
        ("date time", lambda n: ["2024-01-01", f"{n:02}:00-{n + 1:02}:00"], "auto", "00:00-01:00' in column"),
        ("date hour", lambda n: ["2024-01-01", f"{n / 2:.2f}"], "auto", "0.50' in column hour may be"),
        ("year month day hour", lambda n: [2024, 1, 1, n + 1], "auto", "--time-column year,month,day,hour."),
    ],
)  # fmt: skip
def test_columns_that_would_be_joined_wrong_are_refused(file, names, of, wanted, message):
    source = write(file, [*names.split(), "a"], [[*of(n), n] for n in range(24)])
    assert message in refused(dataclasses.replace(source, time_column=wanted))
