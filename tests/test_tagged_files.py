"""Files of sentences with a tag at each token: what is read of them, and what is told."""

import dataclasses
import json

import pytest

from kerasdl.data import from_text, guess
from kerasdl.data.text.corpus import Corpus
from kerasdl.data.text.table import TextTable
from kerasdl.data.text.tagged import TaggedTokens
from kerasdl.errors import UsageError
from kerasdl.inference import sentences
from kerasdl.tasks.classification.task import Classification
from kerasdl.tasks.tagging.task import Tagging

CONLL = "-DOCSTART- -X- O\n\nAnna NNP B-PER\nsings VB O\n\n\nIn IN O\nNew NNP B-LOC\nHaven NNP I-LOC\n"


def sentences_of(split, tags):
    features, targets, _ = split.part(slice(None))
    return [
        " ".join(f"{word.decode()}/{tags[tag - 1]}" for word, tag in zip(words, row, strict=True) if tag)
        for words, row in zip(features, targets, strict=True)
    ]


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return str(folder)


def test_files_in_columns_are_read_as_sentences(tmp_path):
    path = write(
        tmp_path, train_conll=CONLL, dev_conll="Oslo\tNNP\tB-LOC\n", test_conll="Bo B-PER\r\nsat O\r\n"
    )
    data = from_text(path, TaggedTokens()).load()
    assert data.spec.class_names == ("O", "B-LOC", "B-PER", "I-LOC")
    parts = [sentences_of(part, data.spec.class_names) for part in (data.train, data.validation, data.test)]
    assert parts == [
        ["Anna/B-PER sings/O", "In/O New/B-LOC Haven/I-LOC"], ["Oslo/B-LOC"], ["Bo/B-PER sat/O"],
    ]  # fmt: skip
    assert data.notes == ()
    (tmp_path / "whole.conll").write_text(CONLL * 3)
    middle = TaggedTokens(path=str(tmp_path / "whole.conll"), label_column="2", token_column="-3").load()
    assert middle.spec.class_names == ("IN", "NNP", "VB")
    assert sentences_of(middle.test, middle.spec.class_names) == ["In/IN New/NNP Haven/NNP"]


_UNIVERSAL = """# text = Anna sings
1-2\tAnnas\t_\t_\t_
1\tAnna\tanna\tB-PER\t_
2\tsings\tsing\tO\tx
2.1\tnothing\t_\t_\t_

1\tOslo\toslo\tB-LOC\t_
"""


@pytest.mark.parametrize(
    ("content", "fields", "note"),
    [
        (_UNIVERSAL, {"label_column": "4"}, ""),
        ("Token\tNER\n||Anna\tB-PER\nsings\tO\n\nOslo\tB-LOC\n", {}, ""),
        ("Anna B-PER\rsings O\r\rOslo B-LOC\r", {}, ""),
        ("Anna B-PER\nsings x O\n\nOslo B-LOC\n", {}, "line 2 has 3 columns, line 1 has 2"),
        ("Anna B-PER\nsings o\n\nOslo b-per\n", {}, "'B-PER' and 'b-per' count as two tags"),
        ("Anna B-PER\nsings O\nx <pad>\n\nOslo B-LOC\n", {}, "'<pad>' marks no entity as 'B-LOC' does"),
        ("O Anna\nO sings\n\nO Oslo\n", {}, "3 different tags, but 1 different tokens"),
        ("# id 7 domain=en\nAnna _ _ B-PER\nsings _ _ O\n\n# id 8 domain=en\nOslo _ _ B-LOC\n", {}, ""),
        ("# id 7 8\nAnna B-PER\nsings O\n\nOslo B-LOC\n", {}, ""),
        ("Nr\tWord\tTag\n||1\tAnna\tB-PER\n\tsings\tO\n\n2\tOslo\tB-LOC\n", {"token_column": "2"}, ""),
    ],
    ids=["CoNLL-U", "header", "old Mac", "uneven", "case", "odd", "swapped", "ids", "comments", "numbered"],
)
def test_files_that_people_have_are_read_right_or_doubted(tmp_path, content, fields, note):
    first, _, body = content.rpartition("||")
    (tmp_path / "a.conll").write_bytes((first + (body.rstrip() + body[-1] * 2) * 4).encode())
    data = TaggedTokens(path=str(tmp_path / "a.conll"), **fields).load()
    if note:
        assert any(note in said for said in data.notes)
        return
    assert not any("columns" in said or "tags" in said for said in data.notes)
    parts = (data.train, data.validation, data.test)
    found = {one for part in parts for one in sentences_of(part, data.spec.class_names)}
    assert found == {"Anna/B-PER sings/O", "Oslo/B-LOC"}


def test_no_break_spaces_do_not_part_tokens(tmp_path):
    (tmp_path / "a.conll").write_text("New\u00a0York B-LOC\nis O\n\n" * 4, encoding="utf-8")
    data = TaggedTokens(path=str(tmp_path / "a.conll")).load()
    assert set(sentences_of(data.train, data.spec.class_names)) == {"New\u00a0York/B-LOC is/O"}


def test_json_lines_and_long_sentences_are_read(tmp_path):
    rows = [{"words": ["New York", "is", "big"], "ner": ["B-LOC", "O", "O"]}] * 9
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = TaggedTokens(path=str(tmp_path / "a.jsonl"), label_column="ner", sentence_length=2)
    data = source.load()
    assert {*sentences_of(data.train, data.spec.class_names)} == {"New York/B-LOC is/O", "big/O"}
    assert len(data.train) + len(data.validation) + len(data.test) == 18
    assert data.notes[0].startswith("9 times a sentence is divided after 2 tokens")


# As kaggle.com's entity-annotated-corpus has it: a number at the first token of a sentence alone.
KAGGLE = (
    """Sentence #,Word,POS,Tag
Sentence: 1,In,IN,O
,Zürich,NNP,B-geo
,"""
    + '"""",``,O\n'
    + """Sentence: 2,"1,000",CD,O
,null,NN,O
"""
)
EACH = 'sent_id;token;ner\n1;In;O\n1;Zürich;B-geo\n1;"""";O\n2;1,000;O\n2;null;O\n'


@pytest.mark.parametrize(
    ("content", "fields", "note"),
    [
        (KAGGLE.encode(), {}, "a.csv: the tags are those of 'Tag', and not 'POS'"),
        (KAGGLE.encode("cp1252"), {"label_column": "Tag"}, "1 file is not UTF-8"),
        (EACH.encode("utf-8-sig"), {}, None),
        (EACH.replace("sent_id", "Satz").encode("utf-16"), {"sentence_column": "Satz"}, None),
        (EACH.replace("\n", "\r\n").encode(), {}, None),
        ('word,tag\nIn,O\nZürich,B-geo\n"""",O\n\n"1,000",O\nnull,O\n\n\n'.encode(), {}, None),
        ('word,tag\r\nIn,O\r\nZürich,B-geo\r\n"""",O\r\n,\r\n"1,000",O\r\nnull,O'.encode(), {}, None),
        (
            'sentence,text,label\nA,In,O\nA,Zürich,B-geo\nA,"""",O\nB,"1,000",O\nB,null,O\n'.encode(),
            {"token_column": "text"},
            None,
        ),
    ],
)
def test_tables_with_a_token_in_each_row_are_read(tmp_path, content, fields, note):
    (tmp_path / "train.csv").write_bytes(content)
    (tmp_path / "a.csv").write_bytes(content)
    source = TaggedTokens(path=str(tmp_path / "a.csv"), **fields)
    found, notes = source._sentences()
    assert found["train"] == [(["In", "Zürich", '"'], ["O", "B-geo", "O"]), (["1,000", "null"], ["O", "O"])]
    assert [said[: len(note)] for said in notes] == [note] if note else notes == ()
    assert dataclasses.replace(source, path=str(tmp_path))._sentences()[0] == found


@pytest.mark.parametrize("fields", [{}, {"sentence_column": "sent_id"}])
def test_tables_with_tabs_are_told_by_the_names_of_their_columns(tmp_path, fields):
    path = tmp_path / "a.tsv"
    path.write_text("sent_id\tword\tner\n1\tIn\tO\n1\tBath\tB-LOC\n2\tYes\tO\n")
    found, notes = TaggedTokens(path=str(path), **fields)._sentences()
    assert found["train"] == [(["In", "Bath"], ["O", "B-LOC"]), (["Yes"], ["O"])] and notes == ()
    assert [one.about["tokens"] for one in sentences.read_sentences([str(path)])] == [["In", "Bath"], ["Yes"]]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("doc_id,sentence_id,word,tag\nA,1,a,O\nA,1,b,B-X\nB,1,c,O\n", None),
        ("doc,sent_id,word,tag\nA,1,a,O\n,,b,B-X\nB,1,c,O\n", None),
        ("Sentence #,Word,Tag\n1,a,O\nNaN,b,B-X\n2,c,O\n", None),  # of to_csv(na_rep="NaN")
        ("sentence,sentence_id,word,tag\nyes,1,a,O\nyes,1,b,B-X\nyes,2,c,O\n", None),
        (",word,tag\n0,a,O\n1,b,B-X\n2,,\n3,c,O\n", None),  # with the index of pandas
        ("sentence,word,tag\n1,,\n,a,O\n,b,B-X\n2,,\n,c,O\n", None),
        ("sentence,token,word,tag\n1,a,A,O\n1,b,B,B-X\n2,c,C,O\n", "a.csv: the tokens are those of 'token'"),
    ],
)
def test_sentences_of_a_table_begin_where_they_should(tmp_path, content, note):
    (tmp_path / "a.csv").write_text(content)
    found, notes = TaggedTokens(path=str(tmp_path / "a.csv"))._sentences()
    assert found["train"] == [(["a", "b"], ["O", "B-X"]), (["c"], ["O"])]
    assert [said[: len(note)] for said in notes] == [note] if note else notes == ()


def test_a_table_of_tabs_takes_numbers_of_columns_too(tmp_path):
    (tmp_path / "a.tsv").write_text("sent_id\tword\ttag\n1\ta\tO\n1\tb\tB-X\n\n2\tc\tO\n")
    found, _ = TaggedTokens(path=str(tmp_path / "a.tsv"), token_column="2")._sentences()
    assert found["train"] == [(["a", "b"], ["O", "B-X"]), (["c"], ["O"])]


def test_texts_with_a_word_of_each_are_no_table_of_tokens(tmp_path):
    (tmp_path / "a.csv").write_text("sentence,word,label\nHe sat.,sat,0\nShe ran.,ran,1\n")
    assert isinstance(guess.kinds(str(tmp_path / "a.csv"))[0], TextTable)
    _, notes = TaggedTokens(path=str(tmp_path / "a.csv"))._sentences()
    assert notes[0].startswith("a.csv: every sentence has one token.")


def test_rows_of_a_sentence_that_are_not_together_are_told(tmp_path):
    (tmp_path / "a.csv").write_text("sentence,word,tag\n1,a,O\n2,b,B-X\n1,c,O\n2,d,O\n")
    found, (note,) = TaggedTokens(path=str(tmp_path / "a.csv"))._sentences()
    assert [tokens for tokens, _ in found["train"]] == [["a"], ["b"], ["c"], ["d"]]
    assert note.startswith("a.csv: the rows of sentence '1' are not together") and "(2 such)" in note


def test_the_first_of_two_lists_of_tags_is_said(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"tokens": ["a", "b"], "pos_tags": ["X", "Y"], "ner_tags": ["O", "B-Z"]}'
    )
    source = TaggedTokens(path=str(tmp_path / "a.jsonl"))
    found, (note,) = source._sentences()
    assert found["train"][0][1] == ["O", "B-Z"] and "those of 'ner_tags', and not 'pos_tags'" in note
    assert dataclasses.replace(source, label_column="pos_tags")._sentences()[1] == ()


@pytest.mark.parametrize(
    ("name", "text", "fields", "message"),
    [
        ("a.conll", "", {}, "holds no token"),
        ("a.conll", "Anna\nsings\n", {}, "line 1 has one column .*empty line between sentences"),
        ("a.conll", "Anna B-PER\nsings\n", {}, "line 2 has one column"),
        ("a.conll", "Anna\tNNP\tB-PER\nsings\tVB\t\n", {}, "line 2: column 3 of 3 is empty.*--label-column"),
        ("a.conll", "1\tAnna\tO\n\tsings\tO\n", {}, "line 2: column 1 of 3 is empty.*--token-column"),
        ("a.conll", "Anna B-PER\n", {}, "All tokens .* have the tag 'B-PER'.*--label-column"),
        ("a.conll", CONLL, {"label_column": "4"}, "line 3 has 3 columns.*--label-column 4"),
        ("a.conll", CONLL, {"label_column": "ner"}, "columns of this file have no names"),
        ("a.conll", CONLL, {"token_column": "0"}, "--token-column is '0'"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}', {}, "line 1 has 2 tokens, but 1 tags"),
        ("a.jsonl", '{"tokens": ["a", ""], "tags": ["O", "O"]}', {}, "token 2 is empty"),
        (
            "a.jsonl",
            '{"tokens": ["a"], "tag": ["O"]}',
            {},
            "none of tags.*it has 'tokens', 'tag'.*mean 'tag'",
        ),
        ("a.jsonl", '{"tokens": "a b", "tags": ["O"]}', {}, "'tokens' is not a list of texts"),
        ("a.jsonl", "Anna B-PER", {}, "line 1 is not JSON"),
        ("a.conll", "\n".join(f"w t{n}\n" for n in range(600)), {}, "600 different tags.*column of words"),
        ("a.conll", "w O\nw B-X\n" * 150, {}, "its 300 tokens are one.*empty line.*--sentence-column"),
        ("a.txt", "The sea is calm tonight.\nThe tide is full, the moon lies fair\n" * 9, {}, "running text"),
        ("a.txt", "".join(f"the word{n}\n" for n in range(40)), {}, "running text.*Berlin B-LOC"),
        (
            "a.jsonl",
            '{"tokens": ["a", "b"], "ner_tags": [0, 7]}',
            {"tag_names": ("O", "B")},
            "tag '7', but.*to 1",
        ),
        ("a.conll", CONLL, {"sentence_column": "id"}, "is no table"),
        ("a.csv", "word,tag\n" + "a,O\nb,B-X\n" * 150, {}, "its 300 tokens are one.*--sentence-column"),
        ("a.csv", "word,tag\na,O\n,B-X\n", {}, "row 3: column 'word' is empty.*--token-column"),
        ("a.csv", "word,tag\na,O\nb,\n", {}, "row 3: column 'tag' is empty.*--label-column"),
        ("a.csv", "wort,tag\na,O\n", {}, "has the columns 'wort', 'tag'.*--token-column"),
        ("a.csv", "word,tag\na,O\n", {"label_column": "tga"}, "no column 'tga'.*mean 'tag'"),
        ("a.csv", "word,tag\na,O\n", {"sentence_column": "s"}, "no column 's'.*--sentence-column"),
        ("a.csv", "word,tag\na,O,1\n", {}, "line 2: the row has more fields than the header"),
        ("a.csv", "word,tag\n", {}, "holds no token"),
        ("a.csv", 'id,word,tag\n1,",O\n1,a,O\n1,",O\n', {}, "row 2: column 'word' goes over several lines"),
        ("a.csv", 'word,tag\na,"\nb,"\n', {}, "row 2: column 'tag' goes over several lines"),
        ("a.csv", "tokens,tags\nNew York is,B I O\n", {}, "has a sentence and its tags in each row"),
        ("a.csv", "word,tag\na b,\"['O', 'B']\"\n", {}, "row 2: column 'tag' holds a list"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, name, text, fields, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        TaggedTokens(path=str(tmp_path / name), **fields).load()


def test_columns_in_a_text_file_are_no_prose(tmp_path):
    rows = ["New York\tB-LOC\n" + "is\tO\n" * 3, "Anna B-PER\n" + "sings O\n" * 9]
    for row in rows:
        (tmp_path / "a.txt").write_text(f"{row}\n" * 9)
        assert "O" in TaggedTokens(path=str(tmp_path / "a.txt")).load().spec.class_names


def test_numbers_of_tags_are_told_or_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": ["Anna", "sings", "x"], "ner_tags": [10, 0, 2]}\n' * 9)
    data = TaggedTokens(path=str(path)).load()
    assert data.spec.class_names == ("0", "2", "10")
    assert data.notes[0].startswith("The tags are numbers up to 10, whose names the file does not tell")
    names = ("O", *(f"B-{n}" for n in range(1, 11)))
    named = TaggedTokens(path=str(path), tag_names=names).load()
    assert named.spec.class_names == ("O", "B-10", "B-2") and "numbers" not in str(named.notes)
    path.write_text('{"tokens": ["Anna", "sings"], "tags": ["B-2", "O"]}\n')  # of another file, with names
    other = TaggedTokens(path=str(path), tag_names=names).like(named.spec)
    assert other._sentences()[0]["train"] == [(["Anna", "sings"], ["B-2", "O"])]


def test_tags_that_training_lacks_are_told_and_those_of_a_run_stay(tmp_path):
    path = write(tmp_path, train_conll="a O\n\nb B-X\n\n" * 3, test_conll="a O\nb B-Y\n")
    data = TaggedTokens(path=path).load()
    assert data.spec.class_names == ("O", "B-X", "B-Y")
    assert any("No training sentence has the tag B-Y" in note for note in data.notes)
    other = write(tmp_path, train_conll="a O\n\nb B-Y\n\n" * 3, test_conll="a B-Y\n")
    assert TaggedTokens(path=other).like(data.spec).load().spec == data.spec
    write(tmp_path, test_conll="a B-Z\n")
    with pytest.raises(UsageError, match="tag 'B-Z', which the network does not know"):
        TaggedTokens(path=other).like(data.spec).load()


def test_shipped_sets_are_the_same_each_time():
    made, text = TaggedTokens().load(), TaggedTokens(name="shakespeare").load()
    assert len(made.train) == 1600 and made.notes == text.notes == ()
    assert sentences_of(made.test, made.spec.class_names)[0] == (
        "please/O book/O a/O table/O for/O Romano/B-PER in/O Bath/B-LOC on/O Tuesday/B-DATE"
    )
    assert sentences_of(text.train, text.spec.class_names)[0].startswith(
        "first/cap citizen/cap,COLON before/cap we/low proceed/low any/low further/low,COMMA hear/low me/low"
    )


def test_a_word_stands_for_the_kind_of_data_that_a_recipe_has():
    assert from_text("shakespeare") == Corpus()
    assert from_text("shakespeare", TaggedTokens()) == TaggedTokens(name="shakespeare")
    assert from_text("requests") == TaggedTokens()
    with pytest.raises(UsageError, match=r"tag at each token.*tagger"):
        Classification().network_arguments(TaggedTokens().load().spec)
    with pytest.raises(UsageError, match="no tag at each token"):
        Tagging().network_arguments(Corpus().load().spec)
