"""Texts: files as people have them, words by number, batches of about equal length, and all of a run."""

import json
import random
import string

import numpy as np
import pytest
import tensorflow as tf

from kerasdl.data import from_text
from kerasdl.data.batches import training_batches
from kerasdl.data.images.digits import Digits
from kerasdl.data.images.folder import ImageFolder
from kerasdl.data.ragged import RaggedSplit
from kerasdl.data.series import table as series_table
from kerasdl.data.text.folder import TextFolder
from kerasdl.data.text.phrases import Phrases
from kerasdl.data.text.table import TextTable
from kerasdl.errors import UsageError
from kerasdl.preprocessing.sequence import SequencePreprocessing
from kerasdl.preprocessing.words import Tokenizer
from kerasdl.recipe import Config
from kerasdl.tasks.classification import baselines, verdicts
from kerasdl.training import preparation

ROWS = [(f"text {number} caf\u00e9", "pos") for number in range(8)] + [(f"no {n}", "neg") for n in range(8)]


def table(header="text,label", separator=",", rows=ROWS):
    lines = [header.replace(",", separator)]
    return "\n".join(lines + [f"{text}{separator}{label}" for text, label in rows]) + "\n"


TABLES = {
    "plain.csv": table().encode(),
    "marked.csv": b"\xef\xbb\xbf" + table(separator=";").replace("\n", "\r\n").encode(),
    "tabs.tsv": table("sentence,sentiment", "\t").encode(),
    "windows.csv": table().encode("cp1252"),
    "utf16.csv": table().encode("utf-16"),
    "utf16_unmarked.csv": table().encode("utf-16-le"),
    "two_origins.csv": table(rows=ROWS[1:]).encode() + "text 0 caf\u00e9,pos\n".encode("cp1252"),
    "excel.csv": ("sep=;\r\n" + table(separator=";")).encode("utf-8-sig"),
    "old_mac.csv": table(rows=[(f'"{text}"', label) for text, label in ROWS]).replace("\n", "\r").encode()
    + b'"a; b; c; d",\r',
    "more_columns.csv": table(
        "Review,Label,id", rows=[(text, f"{label},7") for text, label in ROWS]
    ).encode(),
    "quoted.csv": table(rows=[(f'"{text}"', label) for text, label in ROWS]).encode(),
    "gaps.csv": (table() + ",pos\nnothing,\n\n").encode(),
    "gaps.jsonl": "\n".join(
        json.dumps({"text": text, "label": label})
        for text, label in [*ROWS, (float("nan"), "pos"), ("nothing", float("nan"))]
    ).encode(),
    "objects.jsonl": "\n".join(json.dumps({"label": label, "text": text}) for text, label in ROWS).encode(),
}


def everything(dataset):
    """Return the pairs of text and class of all splits."""
    names = dataset.spec.class_names
    return sorted(
        (text.decode(), names[label])
        for split in (dataset.train, dataset.validation, dataset.test)
        for text, label in zip(split.features, split.targets, strict=True)
    )


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_all_kinds_hold_the_same_texts(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(TABLES[name])
    source = from_text(str(path))
    assert isinstance(source, TextTable)
    dataset = source.load()
    assert everything(dataset) == sorted(ROWS)
    said = " ".join(dataset.notes)
    assert ("not UTF-8" in said) == (name in ("windows.csv", "utf16_unmarked.csv", "two_origins.csv"))
    assert ("2 of 18 rows" in said) == (name in ("gaps.csv", "gaps.jsonl"))


def test_a_quoted_text_keeps_its_lines_and_separators(tmp_path):
    (tmp_path / "x.csv").write_text('text,label\n"one, ""two""\nthree",1\n' + "b,0\nc,1\nd,0\ne,1\nf,0\n" * 2)
    assert ('one, "two"\nthree', "1") in everything(TextTable(path=str(tmp_path / "x.csv")).load())


def test_quotes_in_a_file_of_tabs_are_text_where_every_line_is_a_row(tmp_path):
    rows = [('"Fine', "good"), ('dull"', "bad"), ('a "fine" film', "good"), ("no", "bad")] * 3
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    data = TextTable(path=str(tmp_path / "a.tsv")).load()
    assert sum(len(split) for split in (data.train, data.validation, data.test)) == 12
    quoted = '"two\nlines"\tgood\n"a ""b"" c"\tbad\n' * 6
    (tmp_path / "b.tsv").write_text("text\tlabel\n" + quoted)
    data = TextTable(path=str(tmp_path / "b.tsv")).load()
    assert sum(len(split) for split in (data.train, data.validation, data.test)) == 12


def test_columns_that_are_taken_are_said(tmp_path):
    content = "title,text,rating,label\n" + "a,fine film,5,good\nb,dull film,1,bad\n" * 6
    (tmp_path / "a.csv").write_text(content)
    assert any(
        "column 'text', classes column 'label'" in note
        for note in TextTable(path=str(tmp_path / "a.csv")).load().notes
    )
    named = TextTable(path=str(tmp_path / "a.csv"), text_column="title", label_column="rating").load()
    assert not any("classes column" in note for note in named.notes)


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        (None, {}, "There is no file"),
        ("", {}, "no row with a text"),
        (table("a,b"), {}, "columns 'a', 'b'.*--text-column"),
        (table("text,b"), {}, "--label-column"),
        (table(), {"label_column": "labl"}, "Did you mean 'label'"),
        ("text,label\none, two,pos\n", {}, "line 2.*more fields than the header.*double quotes"),
        ('text,label\n"open,pos\nb,neg\n', {}, "Double the quotes"),
        (table(rows=[(text, "pos") for text, _ in ROWS]), {}, "1 classes"),
        ("text,label,label\na,pos,neg\n", {}, "several columns called 'label'"),
    ],
)
def test_tables_that_cannot_be_read_are_named(tmp_path, content, fields, words):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=f"(?s){words}"):
        TextTable(path=str(path), **fields).load()


def test_a_folder_of_texts_is_told_from_one_of_images(tmp_path):
    for text, label in ROWS:
        (tmp_path / "texts" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / label / f"{len(text)}{text[-6:-5]}{text}.txt").write_text(
            text, encoding="utf-8"
        )
    (tmp_path / "texts/pos/notes.md").write_text("left out")
    (tmp_path / "texts/pos/0.txt").write_text(" \n")
    (tmp_path / "texts/pos/00.txt").touch()
    source = from_text(str(tmp_path / "texts"))
    assert isinstance(source, TextFolder)
    dataset = source.load()
    assert everything(dataset) == sorted(ROWS)
    assert "1 .md" in dataset.notes[0]
    assert (
        dataset.notes[1]
        == f"Left out of {tmp_path / 'texts'}: 2 files without a text (pos/0.txt, pos/00.txt)."
    )
    (tmp_path / "images/a").mkdir(parents=True)
    assert isinstance(from_text(str(tmp_path / "images")), ImageFolder)


def test_files_of_splits_are_the_splits(tmp_path):
    for name, rows in (("train", ROWS), ("valid", ROWS[:3]), ("test", ROWS[6:])):
        (tmp_path / f"{name}.csv").write_text(table(rows=rows), encoding="utf-8")
    dataset = from_text(str(tmp_path)).load()
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [16, 3, 10]


def test_the_vocabulary_is_that_of_the_training_texts_alone(tmp_path):
    for name, word in (("train", "seen"), ("valid", "held"), ("test", "unseen")):
        rows = [(f"{word} both", label) for _, label in ROWS]
        (tmp_path / f"{name}.csv").write_text(table(rows=rows), encoding="utf-8")
    data = from_text(str(tmp_path)).load()
    layer = preparation.make_preprocessing(Config(SequencePreprocessing), data, batch_size=4)
    assert set(layer.vocabulary) == {"seen", "both"}


def test_classes_are_written_alike(tmp_path):
    for name, classes in (("train", ("1", "0")), ("test", ("1.0", "0.0"))):
        (tmp_path / f"{name}.csv").write_text(
            table(rows=[(text, classes[n % 2]) for n, (text, _) in enumerate(ROWS)]), encoding="utf-8"
        )
    with pytest.raises(UsageError, match=r"test file .* class '0.0', of which training has no text"):
        from_text(str(tmp_path)).load()
    path = tmp_path / "one.csv"
    mixed = [(f"{text} {n}", ("1", "1.0", "nan")[n % 3]) for n in range(3) for text, _ in ROWS]
    path.write_text(table(rows=mixed), encoding="utf-8")
    dataset = TextTable(path=str(path)).load()
    assert any("'1' and '1.0' count as two classes" in note for note in dataset.notes)
    assert any("'nan' counts as a class" in note for note in dataset.notes)
    assert dataset.spec.class_names == ("1", "1.0", "nan")  # and in no order of a set


def test_a_class_of_one_text_is_told_without_advice_on_images(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"good {n},1\nthe same,0\n" for n in range(9)))
    notes = TextTable(path=str(tmp_path / "a.csv")).load().notes
    assert "All examples of a class are one and the same in 1 of 2 classes: 0. Look at them." in notes


def test_texts_of_json_are_no_lists(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": ["a", "b"], "label": "pos"}\n')
    with pytest.raises(UsageError, match="where a text or a class is needed"):
        TextTable(path=str(path)).load()


def test_half_an_emoji_of_json_is_read(tmp_path):
    path = tmp_path / "x.jsonl"
    texts = ["cut in an emoji \\ud83d", "a whole \\ud83d\\ude00", "caf\u00e9 \\uDE00?", "a"]
    rows = [f'{{"text": "{text}", "label": "{n % 2} \\ud83d"}}' for n, text in enumerate(texts * 5)]
    path.write_text("\n".join(rows), encoding="utf-8")
    data = TextTable(path=str(path)).load()
    found = {text.decode() for split in (data.train, data.validation, data.test) for text in split.features}
    assert found == {"cut in an emoji ?", "a whole \U0001f600", "caf\u00e9 ??", "a"}
    assert data.spec.class_names == ("0 ?", "1 ?")
    path.write_text("[" * 10**5)
    with pytest.raises(UsageError, match="line 1 is not JSON"):
        TextTable(path=str(path)).load()


@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"])
def test_numbers_without_tensorflow_are_those_of_keras(standardize):
    rng = random.Random(0)
    letters = string.printable + "\u00e9\u0130\u2028\x85\x1c\x00\u3000\U0001f600\u0627"
    texts = ["".join(rng.choice(letters) for _ in range(rng.randint(0, 40))) for _ in range(1000)]
    texts += [
        "",
        "  ",
        "The THE the",
        "it's--ok",
        "[UNK] [UNK] the\x00 the",
        "the " * 100,
        "a\x0bthe\x0cthe\u00a0the",
    ]
    encoded = np.array([text.encode() for text in texts], object)
    layer = SequencePreprocessing(max_tokens=300, max_length=30, standardize=standardize)
    layer.fit(lambda: iter([encoded]))
    expected = layer(tf.constant(encoded)).numpy()
    found = Tokenizer(layer.assets()).padded(texts)
    np.testing.assert_array_equal(found[:, : expected.shape[1]], expected)
    assert not found[:, expected.shape[1] :].any()
    assert [row.tolist() for row in layer.encode(encoded)] == [row[row != 0].tolist() for row in found]
    assert {1, 2} < set(found.flat)


def test_each_text_is_counted_once():
    texts = np.array([b"first"] * 600 + [b"then"] * 700, object)
    layer = SequencePreprocessing()
    layer.fit(lambda: np.split(texts, range(64, len(texts), 64)))
    assert layer.vocabulary == ("then", "first")  # the most frequent one leads


def test_texts_without_words_are_refused():
    with pytest.raises(UsageError, match="hold no word"):
        SequencePreprocessing().fit(lambda: iter([np.array([b"", b"!!"], object)]))


@pytest.mark.slow
def test_batches_hold_texts_of_about_equal_length():
    lengths = np.random.default_rng(0).integers(0, 200, 1000)
    split = RaggedSplit([np.full(length, 7, np.int32) for length in lengths], np.arange(1000))
    seen, padded = [], 0
    for features, targets in training_batches(split, batch_size=8, seed=3).take(125).as_numpy_iterator():
        assert ((features != 0).sum(1) == lengths[targets]).all()
        padded += features.size
        seen.append(targets)
    assert sorted(np.concatenate(seen)) == list(range(1000))  # each once
    assert padded < 1.06 * lengths.sum()
    assert np.abs(np.diff([lengths[batch].mean() for batch in seen[:50]])).mean() > 30  # not by length
    later = training_batches(split, batch_size=8, seed=3, start_step=77).take(100).as_numpy_iterator()
    later = [targets for _, targets in later]
    np.testing.assert_array_equal(np.stack(later[:48]), np.stack(seen[77:]))  # exactly resumed
    first, second = (set(np.concatenate(batches)) for batches in (seen[:50], later[48:98]))
    assert len(first & second) < 300  # 160 by chance: in each epoch other examples meet


def test_phrases_cannot_be_told_by_single_words():
    dataset = Phrases().load()
    counts = {}
    for text, label in zip(dataset.train.features, dataset.train.targets, strict=True):
        for word in text.split():
            counts.setdefault(word, []).append(label)
    telling = {word for word, labels in counts.items() if abs(np.mean(labels) - 0.5) > 0.1}
    assert not telling


def test_linear_classifiers_stand_beside_a_network_of_texts():
    dataset = Phrases().load()
    found = baselines.of_texts(dataset, dataset.test)
    accuracy = {name: row["accuracy"] for name, row in found.items()}
    assert accuracy["TF-IDF with logistic regression"] < 0.6  # no word alone tells
    assert accuracy["NB-SVM with pairs of words"] > 0.75  # "not good" does
    digits = Digits().load()
    assert baselines.of_texts(digits, digits.test) == {}
    figures = {"accuracy": 0.6, "accuracy_interval": [0.57, 0.63], "examples": 1280, "ece": 0.1}
    table = {"per_class": [{"class": "a", "support": 640}, {"class": "b", "support": 640}]}
    full = {**figures, **table, "confusion_matrix": [[400, 240], [272, 368]], "baselines": found}
    assert [one.text for one in verdicts.verdicts(full)] == [
        f"NB-SVM with pairs of words, a linear classifier, is right for "
        f"{accuracy['NB-SVM with pairs of words']:.1%} of the same texts."
    ]
    assert verdicts.verdicts({**full, "accuracy_interval": [0.8, 0.9]}) == []


def test_a_text_may_be_a_book_beside_a_series(tmp_path):
    (tmp_path / "x.csv").write_text("time,load\n" + "".join(f"2024-01-{d:02},{d}\n" for d in range(1, 9)))
    series_table.read(tmp_path / "x.csv")  # whose cells are short
    (tmp_path / "y.csv").write_text(table(rows=[*ROWS, ("word " * 30_000, "pos")]), encoding="utf-8")
    assert max(len(text) for text, _ in everything(TextTable(path=str(tmp_path / "y.csv")).load())) > 10**5
